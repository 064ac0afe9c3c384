//! The signals that stop the server: Ctrl-C and termination.

/// Resolves with the first signal.
///
/// # Errors
///
/// A signal handler cannot be installed.
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
