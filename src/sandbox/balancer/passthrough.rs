//! TCP from a client to a target and back, for the listeners of a Network Load Balancer.

use super::Shared;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Relays one connection until a side closes it, or its target's drain is over. Without a target that takes it the
/// client's connection is closed.
pub async fn relay(shared: &Shared, port: u16, mut client: TcpStream) {
    let Some(target) = shared.next_target(port) else {
        return;
    };
    let flight = shared.flights.begin(port, target.clone());
    let connect = TcpStream::connect((target.id.as_str(), target.port));
    let Ok(Ok(mut server)) = timeout(shared.patience.connect, connect).await else {
        return;
    };
    tokio::select! {
        ended = tokio::io::copy_bidirectional(&mut client, &mut server) => {
            if let Err(error) = ended {
                tracing::debug!(%error, port, "a relayed connection broke");
            }
        }
        () = flight.cut() => {}
    }
}
