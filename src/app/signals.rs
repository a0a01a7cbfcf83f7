//! SIGINT, SIGTERM and SIGHUP: the first asks to wind down, the second to leave at once, the third is not refused.

use crate::failure::{Failure, Kind};
use crate::report::event::{Event, Tell};
use crate::shutdown::ShutdownSwitch;
use std::io;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for signals from the moment it is made.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    hang_up: Signal,
}

impl Signals {
    /// Starts listening; from here on no signal ends the program by itself.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            interrupt: signal(SignalKind::interrupt())?,
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate())?,
            #[cfg(unix)]
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal. A terminal that goes away is told apart by nobody from being terminated.
    #[cfg(unix)]
    async fn next(&mut self) -> Kind {
        tokio::select! {
            _ = self.interrupt.recv() => Kind::Interrupted,
            _ = self.terminate.recv() => Kind::Terminated,
            _ = self.hang_up.recv() => Kind::Terminated,
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Kind {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Kind::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }

    /// Raises the switch with every signal, and ends with the third: the story is then dropped where it stands.
    pub async fn raise(mut self, switch: &ShutdownSwitch, tell: &Tell) -> Failure {
        let first = self.next().await;
        switch.raise(first);
        tell.tell(Event::Warning(format!(
            "{}: stopping at the next safe point",
            name(first)
        )));
        let second = self.next().await;
        switch.raise(second);
        tell.tell(Event::Warning(format!(
            "{}: stopping at once, and cleaning up",
            name(second)
        )));
        self.next().await;
        Failure::new(first, "slipway was stopped before it had cleaned up")
            .left("unknown: what was going on was abandoned")
            .hint("look for what is left before you run it again")
    }
}

fn name(kind: Kind) -> &'static str {
    if kind == Kind::Interrupted {
        "interrupted"
    } else {
        "terminated"
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::{Kind, Signals, Tell};
    use crate::shutdown::{self, Urgency};
    use rustix::process::{Signal, getpid, kill_process};

    #[tokio::test]
    async fn the_first_signal_winds_down_the_second_stops_and_the_third_is_not_refused() {
        let signals = Signals::listen().unwrap();
        let (switch, view) = shutdown::switch();
        let send = |signal| kill_process(getpid(), signal).unwrap();
        let tell = Tell::nobody();
        let user = async {
            send(Signal::INT);
            assert_eq!(view.reached(Urgency::WindDown).await, Kind::Interrupted);
            assert_eq!(view.asked().0, Urgency::WindDown);
            send(Signal::TERM);
            assert_eq!(view.reached(Urgency::Now).await, Kind::Interrupted);
            send(Signal::HUP);
        };
        let (abandoned, ()) = tokio::join!(signals.raise(&switch, &tell), user);
        assert_eq!(abandoned.kind, Kind::Interrupted);
    }
}
