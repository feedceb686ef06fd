//! What someone may do, asked now: a permission that is remembered is a permission that was taken away.

use pairbot_protocol::signal::{Actor, RequestId, Signal};

use super::{Assignment, Product, Setback, Tools};

pub(super) async fn read(
    tools: &Tools,
    task: &Assignment<'_>,
    request: RequestId,
    of: &Actor,
) -> Result<Product, Setback> {
    let permission = tools.repository(&task.run).permission_of(of.login.as_str()).await?;
    Ok(Product::signal(&task.run, Signal::PermissionRead { request, permission }))
}
