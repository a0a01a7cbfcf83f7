//! One health check of one target, over a real connection.

use crate::sandbox::world::orders::{CheckOutcome, TargetCheck};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Carries a check out; it takes the check's timeout at most.
pub async fn carry_out(check: &TargetCheck) -> CheckOutcome {
    timeout(check.timeout, ask(check))
        .await
        .unwrap_or(CheckOutcome::Timeout)
}

async fn ask(check: &TargetCheck) -> CheckOutcome {
    let Ok(stream) = TcpStream::connect((check.target.id.as_str(), check.port)).await else {
        return CheckOutcome::Refused;
    };
    match check.protocol.as_str() {
        "TCP" => CheckOutcome::Status(200),
        _ => get(check, stream)
            .await
            .map_or(CheckOutcome::Refused, CheckOutcome::Status),
    }
}

/// GET as the load balancer's health checker sends it; `None` when no answer can be understood.
async fn get(check: &TargetCheck, stream: TcpStream) -> Option<u16> {
    let request = Request::get(&check.path)
        .header(header::HOST, format!("{}:{}", check.target.id, check.port))
        .header(header::USER_AGENT, "ELB-HealthChecker/2.0")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let asked = sender.send_request(request);
    tokio::pin!(asked, connection);
    let answer = tokio::select! {
        answer = &mut asked => answer,
        // It is over: either the answer has come already, or it never will.
        _ = &mut connection => asked.await,
    };
    Some(answer.ok()?.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::{CheckOutcome, TargetCheck, carry_out};
    use crate::sandbox::world::orders::TargetId;
    use std::net::Ipv4Addr;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What a check makes of a target that reads a request and writes `answer`, or stays silent.
    async fn outcome(protocol: &str, answer: Option<&'static str>) -> (CheckOutcome, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            request.truncate(length);
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None => {
                    let _ = stream.read(&mut [0]).await;
                }
            }
            String::from_utf8(request).unwrap()
        });
        let check = TargetCheck {
            target_group: "web".to_owned(),
            target: TargetId {
                id: "127.0.0.1".to_owned(),
                port,
            },
            protocol: protocol.to_owned(),
            port,
            path: "/up?deep=1".to_owned(),
            timeout: if answer.is_some() {
                Duration::from_secs(60)
            } else {
                Duration::from_millis(20)
            },
        };
        let outcome = carry_out(&check).await;
        (outcome, target.await.unwrap())
    }

    #[tokio::test]
    async fn an_http_check_reports_the_status_that_it_was_answered() {
        let (seen, request) = outcome("HTTP", Some("HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(seen, CheckOutcome::Status(503));
        assert!(request.starts_with("GET /up?deep=1 HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("user-agent: ELB-HealthChecker/2.0\r\n"),
            "{request}"
        );
        assert!(request.contains("host: 127.0.0.1:"), "{request}");
    }

    #[tokio::test]
    async fn a_cut_connection_is_refused_and_silence_a_timeout() {
        assert_eq!(outcome("HTTP", Some("")).await.0, CheckOutcome::Refused);
        assert_eq!(
            outcome("HTTP", Some("nonsense\r\n\r\n")).await.0,
            CheckOutcome::Refused
        );
        assert_eq!(outcome("HTTP", None).await.0, CheckOutcome::Timeout);
    }

    #[tokio::test]
    async fn a_tcp_check_only_connects() {
        assert_eq!(
            outcome("TCP", Some("")).await,
            (CheckOutcome::Status(200), String::new())
        );
    }
}
