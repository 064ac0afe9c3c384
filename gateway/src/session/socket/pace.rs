//! How many bytes a second the client's roles allow.

use std::time::Instant;

use actix::prelude::*;

use super::Session;

impl Session {
    fn byte_rate(&self) -> Option<u64> {
        let policy = self.requests.server().router.rights().policy();
        policy.limits_of(&self.identity.principal).bytes_per_second.map(|rate| rate.0)
    }

    /// Notes bytes that are sent.
    pub(super) fn spend(&self, bytes: u64) {
        if let Some(usage) = &self.usage
            && let Some(rate) = self.byte_rate()
        {
            usage.spend(bytes, rate, Instant::now());
        }
    }

    /// Whether nothing is written for now; if so, it goes on by itself.
    pub(super) fn is_paused(&mut self, ctx: &mut Context<Self>) -> bool {
        if self.paused {
            return true;
        }
        let wait = self.usage.as_ref().and_then(|usage| usage.wait(self.byte_rate()?, Instant::now()));
        if let Some(wait) = wait {
            self.paused = true;
            ctx.run_later(wait, |session, ctx| {
                session.paused = false;
                session.write(ctx);
            });
        }
        self.paused
    }
}
