//! The gRPC services of a session: health, registry credentials, secrets.
//!
//! A service that sends the context (`moby.filesync.v1.FileSync`) would be one more `add_service` and one more line
//! in [`METHODS`].

use super::Offer;
use crate::image::daemon::RegistryAuth;
use crate::image::endpoint::{TOKEN_USER, registry_auth};
use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// The methods that the Engine is told of; it calls no other. The token methods of `Auth` are left out, so that
/// BuildKit fetches tokens itself, with the credentials.
pub(super) const METHODS: [&str; 3] = [
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
];

/// All services of a session.
pub(super) fn routes(offer: Offer) -> Routes {
    let offered = Offered(Arc::new(offer));
    Routes::new(HealthServer::new(offered.clone()))
        .add_service(AuthServer::new(offered.clone()))
        .add_service(SecretsServer::new(offered))
        .prepare()
}

#[derive(Clone)]
struct Offered(Arc<Offer>);

#[tonic::async_trait]
impl Health for Offered {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("a build session lists no services"))
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("a build session cannot be watched"))
    }
}

#[tonic::async_trait]
impl Auth for Offered {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let host = request.into_inner().host;
        let auth = match given(&self.0.auth, &host) {
            Some(auth) => Some(auth),
            None => registry_auth(&self.0.env, &host).await.map_err(|error| {
                // The Engine fails the build with this text; it names the helper or the file, never a value.
                Status::internal(error.to_string())
            })?,
        };
        Ok(Response::new(answer(auth)))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("ask for the credentials"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("ask for the credentials"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("ask for the credentials"))
    }
}

#[tonic::async_trait]
impl Secrets for Offered {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        match self.0.secrets.iter().find(|secret| secret.id == id) {
            Some(secret) => Ok(Response::new(GetSecretResponse {
                data: secret.value.expose().clone(),
            })),
            None => Err(Status::not_found(format!(
                "secret {id} was not given to the build"
            ))),
        }
    }
}

/// Credentials given for a host; Docker Hub has several names.
fn given(auth: &BTreeMap<String, RegistryAuth>, host: &str) -> Option<RegistryAuth> {
    let hub = ["docker.io", "index.docker.io", "registry-1.docker.io"];
    let names: &[&str] = if hub.contains(&host) { &hub } else { &[host] };
    names.iter().find_map(|name| auth.get(*name)).cloned()
}

/// An empty answer lets BuildKit go on without credentials; an empty user name marks an identity token.
fn answer(auth: Option<RegistryAuth>) -> CredentialsResponse {
    auth.map_or_else(CredentialsResponse::default, |auth| CredentialsResponse {
        username: if auth.username == TOKEN_USER {
            String::new()
        } else {
            auth.username
        },
        secret: auth.password.expose().clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Auth, CredentialsRequest, GetSecretRequest, Offer, Offered, RegistryAuth, Secrets};
    use crate::config::settings::BuildSecret;
    use crate::secret::Secret;
    use std::sync::Arc;
    use tonic::{Code, Request};

    fn offered(offer: Offer) -> Offered {
        Offered(Arc::new(offer))
    }

    async fn credentials(offered: &Offered, host: &str) -> (String, String) {
        let request = Request::new(CredentialsRequest {
            host: host.to_owned(),
        });
        let answer = offered.credentials(request).await.unwrap().into_inner();
        (answer.username, answer.secret)
    }

    #[tokio::test]
    async fn credentials_are_given_by_host_and_nothing_otherwise() {
        let auth = |host: &str, username: &str| {
            (
                host.to_owned(),
                RegistryAuth {
                    username: username.to_owned(),
                    password: Secret::new("p".to_owned()),
                    server: host.to_owned(),
                },
            )
        };
        let offer = Offer {
            auth: [auth("r.example.com", "AWS"), auth("docker.io", "<token>")].into(),
            ..Offer::default()
        };
        let offered = offered(offer);
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(credentials(&offered, "r.example.com").await, pair("AWS", "p"));
        assert_eq!(credentials(&offered, "registry-1.docker.io").await, pair("", "p"));
        assert_eq!(credentials(&offered, "elsewhere.example.com").await, pair("", ""));
    }

    #[tokio::test]
    async fn an_unknown_secret_is_not_found() {
        let offer = Offer {
            secrets: vec![BuildSecret {
                id: "npm".to_owned(),
                value: Secret::new(b"canary".to_vec()),
            }],
            ..Offer::default()
        };
        assert!(!format!("{offer:?}").contains("99, 97"));
        let offered = offered(offer);
        let ask = |id: &str| {
            Request::new(GetSecretRequest {
                id: id.to_owned(),
                ..GetSecretRequest::default()
            })
        };
        let found = offered.get_secret(ask("npm")).await.unwrap();
        assert_eq!(found.into_inner().data, b"canary");
        let missing = offered.get_secret(ask("other")).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
    }
}
