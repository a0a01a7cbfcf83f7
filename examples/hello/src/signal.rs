//! SIGTERM and SIGINT, waited for by the main thread.
//!
//! A process that is PID 1 of a container gets no default action for a signal: without this it would ignore SIGTERM and
//! be killed when `stopTimeout` is over. The standard library has no signals, and an example should need no dependency,
//! so four functions of the C library are declared here. The signals are blocked and waited for; no handler runs, so
//! nothing has to be async-signal-safe.

use std::ffi::c_int;
use std::io;

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
/// `SIG_BLOCK` of Linux.
const SIG_BLOCK: c_int = 0;

/// `sigset_t` of Linux: 1024 bits, in both glibc and musl.
#[repr(C, align(8))]
struct SignalSet([u8; 128]);

unsafe extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> c_int;
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn pthread_sigmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn sigwait(set: *const SignalSet, signal: *mut c_int) -> c_int;
}

/// The stop signals, blocked in the thread that made this and in every thread that it starts later.
pub struct StopSignals(SignalSet);

/// Blocks SIGTERM and SIGINT; call it before any thread is started.
pub fn hold_back_stop_signals() -> io::Result<StopSignals> {
    let mut set = SignalSet([0; 128]);
    // SAFETY: `set` is as large and as aligned as the C library's `sigset_t` and lives through the calls; a null `old`
    // asks for no old mask.
    let error = unsafe {
        sigemptyset(&raw mut set);
        sigaddset(&raw mut set, SIGINT);
        sigaddset(&raw mut set, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &raw const set, std::ptr::null_mut())
    };
    outcome(error).map(|()| StopSignals(set))
}

impl StopSignals {
    /// Waits for the first of them.
    pub fn wait(&self) -> io::Result<()> {
        let mut signal = 0;
        // SAFETY: both pointers are to live values of the right types.
        outcome(unsafe { sigwait(&raw const self.0, &raw mut signal) })
    }
}

fn outcome(error: c_int) -> io::Result<()> {
    match error {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
