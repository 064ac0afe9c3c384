//! Who sends a command.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

/// The sender of a command: a name, roles, and claims. One value for all senders until a listener can authenticate.
///
/// Cost: a clone is a reference count.
#[derive(Debug, Clone)]
pub struct Principal {
    identity: Arc<Identity>,
    peer: Option<Peer>,
}

/// Where a sender is: for records of what was done, not part of who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The sender's address.
    pub address: IpAddr,
    /// The endpoint that it uses.
    pub endpoint: &'static str,
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Principal {}

#[derive(Debug, Default, PartialEq, Eq)]
struct Identity {
    /// `None` for a sender who is not authenticated.
    name: Option<String>,
    roles: Vec<String>,
    claims: BTreeMap<String, String>,
    /// Whether it is the server itself, to which no policy applies.
    is_unrestricted: bool,
    /// What a sealed link opens, if one was used.
    sealed: Option<SealedGrant>,
}

/// What a sealed link opens: it narrows the rights of its maker to reading one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedGrant {
    /// The name of the table.
    pub table: String,
    /// A condition for rows, beside those of the maker's own rights.
    pub rows: Option<String>,
}

impl Principal {
    /// The principal of a sender who is not authenticated.
    pub fn anonymous() -> Principal {
        static ANONYMOUS: LazyLock<Arc<Identity>> = LazyLock::new(Arc::default);
        Principal { identity: ANONYMOUS.clone(), peer: None }
    }

    /// Creates the principal of an authenticated sender.
    pub fn new(
        name: impl Into<String>,
        roles: impl IntoIterator<Item = String>,
        claims: BTreeMap<String, String>,
    ) -> Principal {
        let roles = roles.into_iter().collect();
        Principal::of(Identity { name: Some(name.into()), roles, claims, ..Identity::default() })
    }

    fn of(identity: Identity) -> Principal {
        Principal { identity: Arc::new(identity), peer: None }
    }

    /// The server itself, which may do everything.
    pub fn server() -> Principal {
        Principal::of(Identity { is_unrestricted: true, ..Identity::default() })
    }

    /// The bearer of a link that this principal has sealed.
    #[must_use]
    pub fn with_sealed_grant(&self, grant: SealedGrant) -> Principal {
        let Identity { name, roles, claims, is_unrestricted, sealed: _ } = &*self.identity;
        let (name, roles, claims) = (name.clone(), roles.clone(), claims.clone());
        let (is_unrestricted, sealed) = (*is_unrestricted, Some(grant));
        let identity = Arc::new(Identity { name, roles, claims, is_unrestricted, sealed });
        Principal { identity, peer: self.peer }
    }

    /// Adds where the sender is.
    #[must_use]
    pub fn with_peer(self, peer: Peer) -> Principal {
        Principal { peer: Some(peer), ..self }
    }

    /// Where the sender is; `None` within the server.
    pub fn peer(&self) -> Option<Peer> {
        self.peer
    }

    /// Whether no policy applies.
    pub fn is_unrestricted(&self) -> bool {
        self.identity.is_unrestricted
    }

    /// What the sealed link opens by which the sender came.
    pub fn sealed_grant(&self) -> Option<&SealedGrant> {
        self.identity.sealed.as_ref()
    }

    /// All claims.
    pub fn claims(&self) -> &BTreeMap<String, String> {
        &self.identity.claims
    }

    /// The sender's name; `None` if the sender is not authenticated.
    pub fn name(&self) -> Option<&str> {
        self.identity.name.as_deref()
    }

    /// The names of the sender's roles.
    pub fn roles(&self) -> &[String] {
        &self.identity.roles
    }

    /// The value of one of the sender's claims.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.identity.claims.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_in_particular_has_no_name_and_no_rights() {
        let anonymous = Principal::anonymous();
        assert_eq!((anonymous.name(), anonymous.roles().len(), anonymous.claim("desk")), (None, 0, None));
        assert_eq!(anonymous, Principal::anonymous());
        let trader = Principal::new("ann", ["trader".into()], [("desk".into(), "fx".into())].into());
        assert_eq!((trader.name(), trader.claim("desk")), (Some("ann"), Some("fx")));
        assert_ne!(trader, anonymous);
    }
}
