//! Being asked to stop: SIGTERM from a supervisor, SIGINT from a terminal. Code that has work to finish holds a clone and
//! waits on it; what to finish, and how long that may take, is the program's own affair.

use std::io;

use tokio::signal::unix::{self, SignalKind};
use tokio::sync::watch;

/// What asked the program to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, from a supervisor.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
}

/// A way to learn that the program has been asked to stop. Clones see the same request, before or after they are made.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requests: watch::Receiver<Requests>,
}

/// Asks for a stop by hand, where there is no signal: in tests, or by a part of the program that has failed for good.
#[derive(Clone, Debug)]
pub struct ShutdownTrigger {
    requests: watch::Sender<Requests>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Requests {
    first: Option<Signal>,
    second: Option<Signal>,
}

impl Requests {
    fn add(&mut self, signal: Signal) {
        if self.first.is_none() {
            self.first = Some(signal);
        } else if self.second.is_none() {
            self.second = Some(signal);
        }
    }
}

impl Shutdown {
    /// Takes over SIGTERM and SIGINT for the rest of the process's life. Must be called on a tokio runtime.
    pub fn listen() -> io::Result<Shutdown> {
        let mut signals = Signals::listen()?;
        let (trigger, shutdown) = Shutdown::by_hand();
        tokio::spawn(async move {
            loop {
                let signal = signals.next().await;
                trigger.request(signal);
            }
        });
        Ok(shutdown)
    }

    /// One that only its trigger sets off. If the trigger is dropped, it is never set off.
    pub fn by_hand() -> (ShutdownTrigger, Shutdown) {
        let (requests, receiver) = watch::channel(Requests::default());
        (ShutdownTrigger { requests }, Shutdown { requests: receiver })
    }

    /// Waits until the program is asked to stop; at once if it has been already. Can be cancelled without loss.
    pub async fn requested(&self) -> Signal {
        self.wait(|requests| requests.first).await
    }

    /// Waits until it is asked a second time: somebody does not want to wait for the draining.
    pub async fn requested_again(&self) -> Signal {
        self.wait(|requests| requests.second).await
    }

    /// Whether the program has been asked to stop.
    pub fn is_requested(&self) -> bool {
        self.requests.borrow().first.is_some()
    }

    async fn wait(&self, pick: impl Fn(&Requests) -> Option<Signal>) -> Signal {
        let mut requests = self.requests.clone();
        let found =
            requests.wait_for(|requests| pick(requests).is_some()).await.ok().and_then(|requests| pick(&requests));
        match found {
            Some(signal) => signal,
            // The trigger is gone: nobody can ask any more.
            None => std::future::pending().await,
        }
    }
}

impl ShutdownTrigger {
    /// Asks the program to stop.
    pub fn request(&self, signal: Signal) {
        self.requests.send_modify(|requests| requests.add(signal));
    }
}

/// Waits for the next SIGTERM or SIGINT, for a program that stops in one place only. An error means that the signals
/// cannot be listened to.
pub async fn signal() -> io::Result<Signal> {
    Ok(Signals::listen()?.next().await)
}

struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}
