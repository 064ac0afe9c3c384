//! Who sends a command, and where notifications for the sender go.

use std::sync::Arc;

use proscenium_engine::MemoryAccount;
use proscenium_engine::access::Access;
use proscenium_engine::hosting::Principal;
use proscenium_engine::table::LoadMark;

use crate::error::{ActorError, Result};
use crate::outbox::{Closed, Outbox, SessionId};
use crate::subscriber::Subscriber;
use crate::workers::JobOwner;

/// Whose work something is, also once the request is answered.
#[derive(Debug, Clone)]
pub struct Requester {
    /// The queue that its jobs wait in.
    pub owner: JobOwner,
    /// The account that its memory is reserved in.
    pub memory: MemoryAccount,
}

/// Counts the rows that a sender writes.
pub trait RowMeter: std::fmt::Debug + Send + Sync {
    /// Notes a batch that was taken, before it is applied.
    fn wrote(&self, rows: usize);
}

/// The sender of a command.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose rights apply.
    pub principal: Principal,
    /// What of the table the sender may see or, with a write, change: the table that the command is about, or that a new
    /// table is made of. `None`: all of it.
    pub access: Option<Arc<Access>>,
    /// What the sender may see of the right table of a join.
    pub right_access: Option<Arc<Access>>,
    /// The number of the policy by which that was decided.
    pub policy_number: u64,
    /// Owns the views that the command opens.
    pub session: SessionId,
    /// The account of the request: where the memory that it takes is reserved.
    pub memory: MemoryAccount,
    /// Which part of a load the write is, that must not be applied twice.
    pub load: Option<Arc<LoadMark>>,
    /// Counts the rows that are written, if their rate is limited.
    pub row_meter: Option<Arc<dyn RowMeter>>,
    /// The connection and the number of the request on it; `None` for a sender that receives no notifications.
    connection: Option<(Arc<Outbox>, u32)>,
}

impl Caller {
    /// A request of a connection, with its account.
    pub fn on_connection(
        principal: Principal,
        outbox: Arc<Outbox>,
        msg_id: u32,
        memory: MemoryAccount,
    ) -> Caller {
        let (session, connection) = (outbox.session(), Some((outbox, msg_id)));
        Caller { connection, ..Caller::of(principal, session, memory) }
    }

    /// A sender that only waits for answers, with the account of its request.
    pub fn without_connection(principal: Principal, memory: MemoryAccount) -> Caller {
        Caller::of(principal, SessionId::fresh(), memory)
    }

    fn of(principal: Principal, session: SessionId, memory: MemoryAccount) -> Caller {
        let (access, right_access, policy_number) = (None, None, 0);
        Caller {
            principal,
            access,
            right_access,
            policy_number,
            session,
            memory,
            load: None,
            row_meter: None,
            connection: None,
        }
    }

    /// The request as a part of a load.
    #[must_use]
    pub fn loading(&self, mark: LoadMark) -> Caller {
        Caller { load: Some(Arc::new(mark)), ..self.clone() }
    }

    /// Whether the sender's connection has ended: nobody waits for the answer.
    pub fn is_gone(&self) -> bool {
        self.connection.as_ref().is_some_and(|(outbox, _)| outbox.closed() == Some(Closed::Ended))
    }

    /// Whose queue of worker jobs the sender's requests wait in.
    pub fn job_owner(&self) -> JobOwner {
        JobOwner::of(self.connection.as_ref().map(|(outbox, _)| outbox.session()))
    }

    /// Whose work it is that the sender asks for.
    pub fn requester(&self) -> Requester {
        Requester { owner: self.job_owner(), memory: self.memory.clone() }
    }

    /// Creates a subscription of the connection, under the number of the request.
    ///
    /// # Errors
    ///
    /// The connection has reached its limit of subscriptions, or there is no connection.
    pub fn subscriber(&self) -> Result<Subscriber> {
        let (outbox, msg_id) = self.connection.as_ref().ok_or(ActorError::NoConnection)?;
        Subscriber::new(outbox.clone(), *msg_id)
    }
}
