//! When to end: Ctrl-C or a termination signal.

/// Waits for the first signal. Errors when the system gives no signals.
pub async fn signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use actix_rt::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = actix_rt::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    actix_rt::signal::ctrl_c().await
}
