//! Who sends a command.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The sender of a command: a name, roles, and claims. One value for all senders until a listener can authenticate.
///
/// Cost: a clone is a reference count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(Arc<Identity>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Identity {
    /// `None` for a sender who is not authenticated.
    name: Option<String>,
    roles: Vec<String>,
    claims: BTreeMap<String, String>,
}

impl Principal {
    /// The principal of a sender who is not authenticated.
    pub fn anonymous() -> Principal {
        static ANONYMOUS: LazyLock<Arc<Identity>> = LazyLock::new(Arc::default);
        Principal(ANONYMOUS.clone())
    }

    /// Creates the principal of an authenticated sender.
    pub fn new(
        name: impl Into<String>,
        roles: impl IntoIterator<Item = String>,
        claims: BTreeMap<String, String>,
    ) -> Principal {
        Principal(Arc::new(Identity { name: Some(name.into()), roles: roles.into_iter().collect(), claims }))
    }

    /// The sender's name; `None` if the sender is not authenticated.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The names of the sender's roles.
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// The value of one of the sender's claims.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.0.claims.get(name).map(String::as_str)
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
