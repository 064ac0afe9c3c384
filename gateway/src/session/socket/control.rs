//! The text messages of a session: acknowledgements, tokens, and whether the client is behind.

use actix::prelude::*;
use bytes::Bytes;

use super::{Phase, Resumption, Session};
use crate::auth::Ended;
use crate::session::close_reason::CloseReason;
use crate::session::deflate;
use crate::session::login::{self, TokenError};
use crate::session::pipe::Kind;
use crate::session::resume::{self, Control};
use crate::session::wire::WireError;

impl Session {
    /// Handles a text message.
    pub(super) fn control(&mut self, content: Bytes, is_deflated: bool, ctx: &mut Context<Self>) {
        let memory = self.requests.outbox().memory().request();
        let content = match is_deflated {
            true => match deflate::inflate(&content, login::max_text_bytes(&self.auth), &memory) {
                Ok(content) => content,
                Err(error) => return self.end(&CloseReason::Corrupt(error.to_string()), ctx),
            },
            false => content,
        };
        if self.phase == Phase::Closing {
            return;
        }
        let parsed = Control::parse(&content);
        if let Ok(Control::Token(token)) = parsed {
            return self.take_token(token, ctx);
        }
        let Some(resumption) = &mut self.resumption else {
            return self.end(&CloseReason::Text(WireError::Text.to_string()), ctx);
        };
        let handled = match parsed {
            Ok(Control::Received(count)) => {
                resumption.window.acknowledge(count).map_err(|error| error.to_string())
            }
            Ok(Control::Token(_)) => Ok(()),
            Err(error) => Err(error),
        };
        match handled {
            Ok(()) => self.write(ctx),
            Err(error) => self.end(&CloseReason::Protocol(error), ctx),
        }
    }

    /// Acknowledges received messages, and notifies the client when its updates begin or cease to be merged.
    pub(super) fn send_state(&mut self) {
        if self.phase == Phase::Closing || self.pipe.is_open() {
            return;
        }
        let Some(Resumption { received, acknowledged, is_behind, .. }) = &mut self.resumption else { return };
        if received != acknowledged {
            *acknowledged = *received;
            self.pipe.write(Kind::Text, resume::received(*received));
        }
        let is_lagging = self.requests.outbox().is_lagging();
        if is_lagging != *is_behind {
            *is_behind = is_lagging;
            self.pipe.write(Kind::Text, resume::behind(is_lagging));
        }
    }

    /// Ends the connection if its login has ended.
    pub(super) fn check_login(&mut self, ctx: &mut Context<Self>) {
        if let Err(ended) = self.auth.standing(&self.identity) {
            // Whoever logs in again as the same sender goes on with the session.
            let keeps_session = ended == Ended::Expired;
            self.end(&CloseReason::Login { reason: ended.to_string(), keeps_session }, ctx);
        }
    }

    /// Replaces the client's identity by that of a token, while nothing else of the connection is handled.
    pub(super) fn take_token(&mut self, token: String, ctx: &mut Context<Self>) {
        let renewing = login::renew(self.auth.clone(), self.identity.clone(), token);
        ctx.wait(renewing.into_actor(self).map(|renewed, session, ctx| match renewed {
            Ok(identity) => session.identity = identity,
            Err(error @ (TokenError::Refused(_) | TokenError::OtherSender)) => {
                let reason = error.to_string();
                session.end(&CloseReason::Login { reason, keeps_session: false }, ctx);
            }
        }));
    }
}
