//! Chooses how a run is told, and is the only writer of stdout and stderr.
//!
//! A stderr that nobody reads any more stops nobody's work. A stdout that cannot be written is the caller's to hear of.

use super::bars::{Bars, NARROWEST};
use super::event::{Event, Tell};
use super::human::{self, Style};
use super::json;
use crate::clock::Clock;
use crate::failure::Failure;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The shape of what is told on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Lines for people; live rows on a terminal.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Volume {
    /// Warnings and failures.
    Quiet,
    /// Every event.
    #[default]
    Normal,
    /// Every event, and what the program logs about itself.
    Verbose,
}

/// How a run is to be told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// The shape.
    pub format: Format,
    /// Colours.
    pub colour: Colour,
    /// How much.
    pub volume: Volume,
    /// Whether `NO_COLOR` is set (no-color.org), or the terminal is a `dumb` one.
    pub plain_wanted: bool,
    /// Whether it is the log of a program that goes on for days: it has no live rows, and its lines tell the time of day.
    pub lasting: bool,
}

/// Tells a run.
#[derive(Debug, Clone)]
pub struct Reporter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    manner: Manner,
    style: Style,
    width: Option<usize>,
    bars: Option<Bars>,
    clock: Clock,
    start: Duration,
    /// Held while a line is written, so that lines of two threads do not mix.
    writing: Mutex<()>,
    /// The last event of ECS that was told, as it was told.
    last_news: Mutex<Option<String>>,
    /// The last word was said: what a straggler tells would stand below it.
    ended: AtomicBool,
}

impl Reporter {
    /// A reporter for the terminal or log that stderr is.
    #[must_use]
    pub fn new(manner: Manner, clock: Clock) -> Self {
        let terminal = io::stderr().is_terminal();
        let width = if terminal { terminal_width() } else { None };
        let colour = match manner.colour {
            Colour::Auto => terminal && !manner.plain_wanted,
            Colour::Always => true,
            Colour::Never => false,
        };
        let wide = width.is_some_and(|width| width >= NARROWEST);
        let live = wide
            && !manner.plain_wanted
            && !manner.lasting
            && manner.format == Format::Human
            && manner.volume == Volume::Normal;
        Self(Arc::new(Inner {
            manner,
            style: Style { colour },
            width,
            bars: live.then(Bars::default),
            start: clock.now(),
            clock,
            writing: Mutex::new(()),
            last_news: Mutex::default(),
            ended: AtomicBool::new(false),
        }))
    }

    /// The handle that stories carry.
    #[must_use]
    pub fn tell(&self) -> Tell {
        let inner = self.0.clone();
        Tell::new(move |event| inner.event(&event))
    }

    /// Tells how the run failed; nothing is told after it.
    pub fn failure(&self, failure: &Failure) {
        let inner = &self.0;
        inner.end();
        match inner.manner.format {
            Format::Human => inner.write(&human::render(failure, inner.width, inner.style)),
            Format::Json => inner.object(json::failure(failure, inner.elapsed())),
        }
    }

    /// Shows a failure that is not this run's own: one that was explained. For machines it is data, on stdout.
    pub fn show(&self, failure: &Failure) {
        let inner = &self.0;
        if inner.manner.format == Format::Human {
            inner.write(&human::render(failure, inner.width, inner.style));
        }
    }

    /// Tells that the run did what it was asked to.
    pub fn done(&self) {
        let inner = &self.0;
        inner.end();
        if inner.manner.format == Format::Json && inner.manner.volume != Volume::Quiet {
            inner.object(json::done(inner.elapsed()));
        }
    }
}

impl Inner {
    fn elapsed(&self) -> Duration {
        self.clock.now().saturating_sub(self.start)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(bars) = &self.bars {
            bars.clear();
        }
    }

    fn event(&self, event: &Event) {
        if self.ended.load(Ordering::SeqCst) {
            return;
        }
        if self.manner.volume == Volume::Quiet && !is_grave(event) {
            return;
        }
        match (self.manner.format, &self.bars) {
            (Format::Json, _) => self.object(json::event(event, self.elapsed())),
            (Format::Human, Some(bars)) => {
                if bars.see(event) {
                    self.line(event);
                }
            }
            (Format::Human, None) => self.line(event),
        }
    }

    fn line(&self, event: &Event) {
        let lines = human::lines(event, self.style);
        if self.is_told_already(event, &lines) {
            return;
        }
        let time = match event {
            Event::Retold { at, .. } => format!("{:>6}", human::duration(*at)),
            _ if self.manner.lasting => human::time_of_day(self.clock.now()),
            _ => format!("{:>6}", human::duration(self.elapsed())),
        };
        let time = self.style.faint(&time);
        // In one piece: the lines of a failure stay together.
        let text: String = lines.iter().map(|line| format!("{time}  {line}\n")).collect();
        self.write(&text);
    }

    fn object(&self, object: serde_json::Value) {
        let object = if self.manner.lasting {
            json::timed(object, self.clock.now())
        } else {
            object
        };
        self.write(&format!("{object}\n"));
    }

    /// ECS says the same of one target after the other; a person needs it once.
    fn is_told_already(&self, event: &Event, lines: &[String]) -> bool {
        let of_any = match event {
            Event::OfJob { event, .. } => event,
            event => event,
        };
        if !matches!(of_any, Event::ServiceEvent { .. }) {
            return false;
        }
        let told = lines.concat();
        let mut last = self.last_news.lock().unwrap_or_else(PoisonError::into_inner);
        let again = last.as_ref() == Some(&told);
        *last = Some(told);
        again
    }

    fn write(&self, text: &str) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let print = || {
            let _ = io::stderr().lock().write_all(text.as_bytes());
        };
        match &self.bars {
            Some(bars) => bars.above(print),
            None => print(),
        }
    }
}

/// Whether an event is told even where little is.
fn is_grave(event: &Event) -> bool {
    match event {
        Event::OfJob { event, .. } => is_grave(event),
        event => matches!(event, Event::Warning(_) | Event::JobFailed(_)),
    }
}

/// Writes data to stdout: the one thing that another program may read.
///
/// # Errors
/// The error of the write, such as a closed pipe or a full disk.
pub fn write_data(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(unix)]
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

#[cfg(not(unix))]
fn terminal_width() -> Option<usize> {
    None
}
