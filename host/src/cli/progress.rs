//! A line that says what is being waited for, on a terminal, once it takes longer than a second.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::shell::Shell;

const PATIENCE: Duration = Duration::from_secs(1);

/// Wait for `work`, and say so.
pub(super) async fn waiting<T>(shell: &Shell, what: &str, work: impl Future<Output = T>) -> T {
    if shell.json || !std::io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    let began = std::time::Instant::now();
    let mut shown = false;
    loop {
        tokio::select! {
            done = &mut work => {
                if shown {
                    say("\r\x1b[K");
                }
                return done;
            }
            () = tokio::time::sleep(PATIENCE) => {
                shown = true;
                say(&format!("\r\x1b[K{what} ... {}s", began.elapsed().as_secs()));
            }
        }
    }
}

fn say(text: &str) {
    let mut terminal = std::io::stderr();
    // It is a courtesy: work goes on when it cannot be said.
    let _ = write!(terminal, "{text}").and_then(|()| terminal.flush());
}
