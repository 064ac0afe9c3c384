//! What stops the server: Ctrl-C, termination, and the end of standard input if that is asked for.

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

/// Resolves with the first signal, or when standard input ends. What is read is ignored.
///
/// # Errors
///
/// A signal handler or a thread cannot be had.
pub async fn signal_or_end_of_input() -> std::io::Result<()> {
    let (ended, is_ended) = tokio::sync::oneshot::channel();
    // A thread of its own, since it blocks and the process must be able to end meanwhile.
    std::thread::Builder::new().name("standard input".into()).spawn(move || {
        // A failure is an end, too.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    })?;
    tokio::select! {
        signalled = signal() => signalled,
        _ = is_ended => Ok(()),
    }
}
