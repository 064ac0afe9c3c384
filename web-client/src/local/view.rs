//! Commands about views.

use std::sync::Arc;

use proscenium_engine::MemoryAccount;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::export::{Compression, ExportBudget};
use proscenium_engine::hosting::{Answer, SliceFormat, SliceRequest, Topic, ViewCommand};
use proscenium_engine::view::{Handle, View};
use proscenium_proto::ClientResp;
use proscenium_proto::generated::ViewOnDeleteResp;

use super::{CommandError, Executed, LocalServer, Request};

impl LocalServer {
    pub(super) fn open_view(&mut self, request: &Request, view_id: String, config: &ViewConfig) -> Executed {
        let hosted = self.directory.get_mut(&request.entity_id).ok_or(CommandError::TableNotFound)?;
        let plan = Arc::new(hosted.table.plan_in(config, &self.context)?);
        let name: Arc<str> = request.entity_id.as_str().into();
        let view_id = self.directory.add_view(&view_id, name, request.from.session)?;
        let hosted = self.directory.get_mut(&request.entity_id).ok_or(CommandError::TableNotFound)?;
        let key = plan.sharing_key(hosted.table.version());
        let views = &mut hosted.host.views;
        let shared = match views.shared_by_key(&key) {
            Some(shared) => shared,
            None => views.share(key, View::build(plan.clone(), &hosted.table.snapshot())),
        };
        let handle = views.shared(shared).map(|view| view.handle(config.group_by_depth)).unwrap_or_default();
        views.open(view_id.clone(), request.from.session, shared, plan, handle);
        Ok(Some(Answer::ViewOpened { view_id }))
    }

    pub(super) fn execute_view_command(&mut self, request: &Request, command: ViewCommand) -> Executed {
        let table = self.directory.table_of_view(&request.entity_id).cloned();
        let hosted = table.and_then(|table| self.directory.get_mut(&table));
        let id = hosted.as_ref().and_then(|hosted| hosted.host.views.find(&request.entity_id));
        let views = hosted.map(|hosted| &mut hosted.host.views);
        let found = id.and_then(|id| views?.handle_and_view(id));
        let Some((handle, view)) = found else {
            return command.answer_if_missing().map(Some).ok_or(CommandError::ViewNotFound);
        };
        Ok(Some(match command {
            ViewCommand::Close => return self.close_view(request),
            ViewCommand::GetSchema => Answer::ViewSchema(handle.plan.clone()),
            ViewCommand::GetExpressionSchema => Answer::ExpressionSchema(handle.plan.clone()),
            ViewCommand::GetConfig => Answer::ViewConfig(handle.plan.clone()),
            ViewCommand::Subscribe(topic) => {
                if let Topic::Update { rows: true } = topic {
                    view.track_changes(true);
                }
                handle.subscriptions.subscribe(topic, request.from);
                Answer::Subscribed
            }
            ViewCommand::Unsubscribe { topic, subscription } => {
                handle.subscriptions.unsubscribe(topic, request.from.session, subscription);
                Answer::Unsubscribed(topic)
            }
            ViewCommand::Read(read) => read.answer(view, &mut handle.state)?,
            ViewCommand::Slice(slice) => encode_slice(slice, view, &mut handle.state)?,
        }))
    }

    fn close_view(&mut self, request: &Request) -> Executed {
        let view_id = request.entity_id.as_str();
        let table = self.directory.table_of_view(view_id).cloned();
        let hosted = table.and_then(|table| self.directory.get_mut(&table));
        let hosted = hosted.ok_or(CommandError::ViewNotFound)?;
        let id = hosted.host.find_closable(view_id)?.ok_or(CommandError::ViewNotFound)?;
        let closed = hosted.host.close(id);
        self.directory.remove_view(view_id);
        for subscriber in closed.into_iter().flat_map(|closed| closed.handle.subscriptions.on_delete) {
            self.send(subscriber, view_id, ClientResp::ViewOnDeleteResp(ViewOnDeleteResp {}));
        }
        self.answer(request.from, view_id, Answer::ViewClosed);
        self.delete_due_tables();
        Ok(None)
    }
}

/// Encodes a slice. The compression of Arrow is ignored: it does not pay within one machine, and its writer is broken on
/// 32 bits.
fn encode_slice(
    request: SliceRequest,
    view: &mut View,
    handle: &mut Handle,
) -> proscenium_engine::Result<Answer> {
    let format = match request.format {
        SliceFormat::Arrow { naming, compression: _ } => {
            SliceFormat::Arrow { naming, compression: Compression::None }
        }
        SliceFormat::Text(_) | SliceFormat::Unencoded => request.format,
    };
    // A worker has the memory of its page.
    let slice = request.take(view, handle, &MemoryAccount::unlimited(), 1)?;
    format.encode(slice, 1, &ExportBudget::unlimited())
}
