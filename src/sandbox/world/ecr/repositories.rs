//! The operations on repositories and on the account.

use super::super::error::ApiError;
use super::super::input::{Input, epoch, invalid, page};
use super::Ecr;
use super::repository::{Mutability, NAME_RULE, Repository, is_name};
use crate::sandbox::ACCOUNT;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many exclusion filters a repository can have.
const MAX_FILTERS: usize = 5;

impl Ecr {
    pub(super) fn create_repository(&mut self, now: Duration, input: Input<'_>) -> Result<Value, ApiError> {
        let name = input.required("repositoryName")?;
        if !is_name(name) {
            let rule = format!("must satisfy regular expression '{NAME_RULE}'");
            return Err(invalid("repositoryName", &rule));
        }
        let mutability = read_mutability(input)?;
        let kms_key = self.read_encryption(input.structure("encryptionConfiguration")?)?;
        let resource_tags = read_tags(input)?;
        let scan_on_push = input
            .structure("imageScanningConfiguration")?
            .flag("scanOnPush")?;
        if self.repositories.contains_key(name) {
            return Err(ApiError::new(
                "RepositoryAlreadyExistsException",
                format!(
                    "The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'"
                ),
            ));
        }
        let mut repository = Repository::new(name, now);
        repository.mutability = mutability;
        repository.kms_key = kms_key;
        repository.resource_tags = resource_tags;
        repository.scan_on_push = scan_on_push;
        let shown = self.show(&repository);
        self.repositories.insert(name.to_owned(), repository);
        Ok(json!({ "repository": shown }))
    }

    pub(super) fn describe_repositories(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let size = input.number("maxResults", 1..=1000)?.unwrap_or(100);
        if let Some(names) = input.texts("repositoryNames")? {
            if names.len() > 100 {
                return Err(invalid(
                    "repositoryNames",
                    "Member must have length less than or equal to 100",
                ));
            }
            let found = names.iter().map(|name| Ok(self.show(self.repository(name)?)));
            return Ok(json!({ "repositories": found.collect::<Result<Vec<_>, ApiError>>()? }));
        }
        let all: Vec<&Repository> = self.repositories.values().collect();
        let (shown, next) = page(
            all,
            |one| one.name.clone(),
            input.text("nextToken")?,
            size_of_page(size),
        )?;
        let shown: Vec<Value> = shown.into_iter().map(|one| self.show(one)).collect();
        Ok(with_token(json!({ "repositories": shown }), next))
    }

    pub(super) fn delete_repository(&mut self, input: Input<'_>) -> Result<Value, ApiError> {
        let name = input.required("repositoryName")?;
        let repository = self.repository(name)?;
        if repository.images().next().is_some() && !input.flag("force")? {
            return Err(ApiError::new(
                "RepositoryNotEmptyException",
                format!(
                    "The repository with name '{name}' in registry with id '{ACCOUNT}' cannot be deleted because it \
                     still contains images"
                ),
            ));
        }
        let shown = self.show(repository);
        self.repositories.remove(name);
        Ok(json!({ "repository": shown }))
    }

    pub(super) fn put_image_tag_mutability(&mut self, input: Input<'_>) -> Result<Value, ApiError> {
        let name = input.required("repositoryName")?;
        input.required("imageTagMutability")?;
        let mutability = read_mutability(input)?;
        let repository = self.repository_mut(name)?;
        repository.mutability = mutability;
        let mut shown = json!({ "registryId": ACCOUNT, "repositoryName": name });
        show_mutability(&repository.mutability, &mut shown);
        Ok(shown)
    }

    pub(super) fn tag_resource(&mut self, input: Input<'_>) -> Result<Value, ApiError> {
        let tags = read_tags(input)?;
        let name = self.name_in_arn(input)?;
        self.repository_mut(&name)?.resource_tags.extend(tags);
        Ok(json!({}))
    }

    pub(super) fn list_tags_for_resource(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let repository = self.repository(&self.name_in_arn(input)?)?;
        let tags = repository
            .resource_tags
            .iter()
            .map(|(key, value)| json!({ "Key": key, "Value": value }));
        Ok(json!({ "tags": tags.collect::<Vec<_>>() }))
    }

    pub(super) fn put_account_setting(&mut self, input: Input<'_>) -> Result<Value, ApiError> {
        let name = known_setting(input.required("name")?)?;
        let value = input.required("value")?;
        self.settings.insert(name.to_owned(), value.to_owned());
        Ok(json!({ "name": name, "value": value }))
    }

    pub(super) fn get_account_setting(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let name = known_setting(input.required("name")?)?;
        let value = self.settings.get(name).map_or("DISABLED", String::as_str);
        Ok(json!({ "name": name, "value": value }))
    }

    fn name_in_arn(&self, input: Input<'_>) -> Result<String, ApiError> {
        let arn = input.required("resourceArn")?;
        let name = arn.strip_prefix(self.repository_arn("").as_str());
        name.map(str::to_owned)
            .ok_or_else(|| invalid("resourceArn", "must be the ARN of a repository"))
    }

    fn read_encryption(&self, configuration: Input<'_>) -> Result<Option<String>, ApiError> {
        match configuration.text("encryptionType")? {
            None | Some("AES256") => Ok(None),
            Some("KMS" | "KMS_DSSE") => {
                let key = configuration.text("kmsKey")?.map(str::to_owned);
                let own = || format!("arn:aws:kms:{}:{ACCOUNT}:key/ecr", self.region);
                Ok(Some(key.unwrap_or_else(own)))
            }
            Some(_) => Err(invalid(
                "encryptionConfiguration.encryptionType",
                "Member must satisfy enum value set: [AES256, KMS, KMS_DSSE]",
            )),
        }
    }

    fn show(&self, repository: &Repository) -> Value {
        let mut encryption = json!({ "encryptionType": "AES256" });
        if let Some(key) = &repository.kms_key {
            encryption = json!({ "encryptionType": "KMS", "kmsKey": key });
        }
        let mut shown = json!({
            "repositoryArn": self.repository_arn(&repository.name),
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "repositoryUri": format!("{}/{}", self.registry_host, repository.name),
            "createdAt": epoch(repository.created),
            "imageScanningConfiguration": { "scanOnPush": repository.scan_on_push },
            "encryptionConfiguration": encryption,
        });
        show_mutability(&repository.mutability, &mut shown);
        shown
    }
}

/// Adds `nextToken` when there is a next page.
pub(super) fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["nextToken"] = Value::String(next);
    }
    answer
}

pub(super) fn size_of_page(size: i64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn known_setting(name: &str) -> Result<&str, ApiError> {
    match name {
        "BASIC_SCAN_TYPE_VERSION" | "REGISTRY_POLICY_SCOPE" | "BLOB_MOUNTING" => Ok(name),
        _ => Err(invalid(
            "name",
            "Member must satisfy enum value set: [BASIC_SCAN_TYPE_VERSION, REGISTRY_POLICY_SCOPE, BLOB_MOUNTING]",
        )),
    }
}

fn show_mutability(mutability: &Mutability, shown: &mut Value) {
    shown["imageTagMutability"] = Value::from(mutability.name());
    let filters = mutability.filters();
    if !filters.is_empty() {
        let filters = filters
            .iter()
            .map(|filter| json!({ "filterType": "WILDCARD", "filter": filter }));
        shown["imageTagMutabilityExclusionFilters"] = filters.collect();
    }
}

fn read_mutability(input: Input<'_>) -> Result<Mutability, ApiError> {
    const FILTERS: &str = "imageTagMutabilityExclusionFilters";
    let filters = input.list(FILTERS)?.unwrap_or_default();
    let filters = filters
        .iter()
        .map(|filter| Ok(Input(filter).required("filter")?.to_owned()))
        .collect::<Result<Vec<_>, ApiError>>()?;
    if filters.len() > MAX_FILTERS {
        return Err(invalid(
            FILTERS,
            "Member must have length less than or equal to 5",
        ));
    }
    match (
        input.text("imageTagMutability")?.unwrap_or("MUTABLE"),
        filters.is_empty(),
    ) {
        ("MUTABLE", true) => Ok(Mutability::Mutable),
        ("IMMUTABLE", true) => Ok(Mutability::Immutable),
        ("MUTABLE_WITH_EXCLUSION", false) => Ok(Mutability::MutableWithExclusion(filters)),
        ("IMMUTABLE_WITH_EXCLUSION", false) => Ok(Mutability::ImmutableWithExclusion(filters)),
        ("MUTABLE" | "IMMUTABLE", false) => Err(invalid(
            FILTERS,
            "must be empty unless imageTagMutability ends in _WITH_EXCLUSION",
        )),
        ("MUTABLE_WITH_EXCLUSION" | "IMMUTABLE_WITH_EXCLUSION", true) => Err(invalid(
            FILTERS,
            "must not be empty when imageTagMutability ends in _WITH_EXCLUSION",
        )),
        _ => Err(invalid(
            "imageTagMutability",
            "Member must satisfy enum value set: [MUTABLE, IMMUTABLE, MUTABLE_WITH_EXCLUSION, \
             IMMUTABLE_WITH_EXCLUSION]",
        )),
    }
}

fn read_tags(input: Input<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let empty = Value::Object(Map::new());
    let tags = input.list("tags")?.unwrap_or_default().iter();
    tags.map(|tag| {
        let tag = Input(if tag.is_object() { tag } else { &empty });
        let key = tag.required("Key")?;
        Ok((key.to_owned(), tag.text("Value")?.unwrap_or_default().to_owned()))
    })
    .collect()
}
