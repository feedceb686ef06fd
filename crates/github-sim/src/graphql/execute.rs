//! Walks an operation's selections over the graph.

use serde_json::{Map, Value};

use super::Problem;
use super::document::{Operation, Selection};
use super::mutations;
use super::nodes::{Field, Node, field, readable};
use crate::call::Call;

type Problems = Vec<(Vec<String>, Problem)>;

struct Walk<'a> {
    operation: &'a Operation,
    variables: &'a Value,
    problems: &'a mut Problems,
}

/// Executes an operation; gives its `data`, which is null after an unknown field, as at GitHub.
pub(crate) fn run(
    call: &mut Call,
    operation: &Operation,
    variables: &Value,
    problems: &mut Problems,
) -> Value {
    let mut walk = Walk { operation, variables, problems };
    let root = if operation.mutation { Node::Mutation } else { Node::Query };
    let data = walk.object(call, &root, &operation.selections, &mut Vec::new());
    let invalid = walk.problems.iter().any(|(_, problem)| problem.kind.is_none());
    if invalid { Value::Null } else { data }
}

impl Walk<'_> {
    fn object(
        &mut self,
        call: &mut Call,
        node: &Node,
        selections: &[Selection],
        path: &mut Vec<String>,
    ) -> Value {
        let mut object = Map::new();
        self.fill(call, node, selections, path, &mut object);
        Value::Object(object)
    }

    fn fill(
        &mut self,
        call: &mut Call,
        node: &Node,
        selections: &[Selection],
        path: &mut Vec<String>,
        object: &mut Map<String, Value>,
    ) {
        for selection in selections {
            match selection {
                Selection::Inline { on, selections } => {
                    let kind = node.kind();
                    let is_actor =
                        matches!(node, Node::Account(_)) && matches!(on.as_str(), "Bot" | "Actor" | "User");
                    if on.is_empty() || on == kind || on == "Node" || is_actor {
                        self.fill(call, node, selections, path, object);
                    }
                }
                // Spreads were put in when the document was read.
                Selection::Spread(_) => {}
                Selection::Field { alias, name, arguments, selections } => {
                    let arguments: Map<String, Value> = arguments
                        .iter()
                        .map(|(name, input)| {
                            (name.clone(), input.resolve(self.variables, &self.operation.defaults))
                        })
                        .collect();
                    path.push(alias.clone());
                    let value = self.value(call, node, name, &Value::Object(arguments), selections, path);
                    path.pop();
                    object.insert(alias.clone(), value);
                }
            }
        }
    }

    fn value(
        &mut self,
        call: &mut Call,
        node: &Node,
        name: &str,
        arguments: &Value,
        selections: &[Selection],
        path: &mut Vec<String>,
    ) -> Value {
        let found = match node {
            Node::Mutation if name != "__typename" => {
                mutations::run(call, name, arguments.get("input").unwrap_or(&Value::Null))
                    .map(|payload| payload.map(Field::One))
            }
            _ => field(call.state, node, name, arguments),
        };
        let found = found.and_then(|found| {
            let kind = node.kind();
            found.ok_or_else(|| Problem::new(format!("Field '{name}' doesn't exist on type '{kind}'")))
        });
        match found {
            Err(problem) => {
                self.problems.push((path.clone(), problem));
                Value::Null
            }
            Ok(Field::Absent) => Value::Null,
            Ok(Field::Leaf(value)) => value,
            Ok(Field::One(child)) => self.child(call, &child, selections, path),
            Ok(Field::Many(children)) => {
                children.iter().map(|child| self.child(call, child, selections, path)).collect()
            }
        }
    }

    fn child(
        &mut self,
        call: &mut Call,
        child: &Node,
        selections: &[Selection],
        path: &mut Vec<String>,
    ) -> Value {
        if selections.is_empty() {
            let kind = child.kind();
            let problem = Problem::new(format!(
                "Field must have selections (field returns {kind} but has no selections)"
            ));
            self.problems.push((path.clone(), problem));
            return Value::Null;
        }
        match readable(call, child) {
            Ok(()) => self.object(call, child, selections, path),
            Err(problem) => {
                self.problems.push((path.clone(), problem));
                Value::Null
            }
        }
    }
}
