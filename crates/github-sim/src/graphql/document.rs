//! Reads a GraphQL document: operations, fragments, arguments, variables, aliases.
//! <https://spec.graphql.org/October2021/#sec-Language>

use std::collections::BTreeMap;

use serde_json::Value;

use super::Problem;

/// Deeper selections are refused, so that no document can exhaust the stack.
const DEPTH_MAX: usize = 32;

/// A value in a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    Variable(String),
    Literal(Value),
    List(Vec<Input>),
    Object(BTreeMap<String, Input>),
}

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Selection {
    Field {
        alias: String,
        name: String,
        arguments: BTreeMap<String, Input>,
        selections: Vec<Selection>,
    },
    /// `... on Type { }`; an empty type takes any.
    Inline {
        on: String,
        selections: Vec<Selection>,
    },
    Spread(String),
}

/// A query or a mutation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    pub(crate) mutation: bool,
    pub(crate) name: String,
    /// Defaults of its variables.
    pub(crate) defaults: BTreeMap<String, Input>,
    pub(crate) selections: Vec<Selection>,
}

/// A whole document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    operations: Vec<Operation>,
}

impl Document {
    /// The operation to execute.
    pub(crate) fn operation(&self, name: Option<&str>) -> Result<&Operation, Problem> {
        match (name, self.operations.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(Problem::new("An operation name is required")),
            (Some(name), all) => all
                .iter()
                .find(|operation| operation.name == name)
                .ok_or_else(|| Problem::new(format!("No operation named \"{name}\""))),
        }
    }
}

impl Input {
    /// The value with its variables put in.
    pub(crate) fn resolve(&self, variables: &Value, defaults: &BTreeMap<String, Input>) -> Value {
        match self {
            Self::Variable(name) => match (variables.get(name), defaults.get(name)) {
                (Some(value), _) => value.clone(),
                // A default is a constant: it names no variables.
                (None, Some(default)) => default.resolve(&Value::Null, &BTreeMap::new()),
                (None, None) => Value::Null,
            },
            Self::Literal(value) => value.clone(),
            Self::List(items) => items.iter().map(|item| item.resolve(variables, defaults)).collect(),
            Self::Object(members) => {
                let members =
                    members.iter().map(|(name, input)| (name.clone(), input.resolve(variables, defaults)));
                Value::Object(members.collect())
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(String),
    Mark(char),
    Spread,
}

fn string(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, Problem> {
    let unfinished = || Problem::new("Parse error: unterminated string");
    let mut text = String::new();
    let block = rest.clone().take(2).eq(['"', '"']);
    if block {
        rest.next();
        rest.next();
        loop {
            if rest.clone().take(3).eq(['"', '"', '"']) {
                rest.next();
                rest.next();
                rest.next();
                return Ok(text.trim().to_owned());
            }
            text.push(rest.next().ok_or_else(unfinished)?);
        }
    }
    loop {
        match rest.next().ok_or_else(unfinished)? {
            '"' => return Ok(text),
            '\\' => match rest.next().ok_or_else(unfinished)? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                'u' => {
                    let digits: String = rest.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                    text.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

fn tokens(source: &str) -> Result<Vec<Token>, Problem> {
    let mut tokens = Vec::new();
    let mut rest = source.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            ' ' | '\t' | '\r' | '\n' | ',' | '\u{feff}' => {}
            '#' => while rest.next_if(|next| *next != '\n').is_some() {},
            '"' => tokens.push(Token::Text(string(&mut rest)?)),
            '.' => {
                if rest.next() != Some('.') || rest.next() != Some('.') {
                    return Err(Problem::new("Parse error on \".\""));
                }
                tokens.push(Token::Spread);
            }
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '=' | '!' | '$' | '@' | '|' => {
                tokens.push(Token::Mark(next))
            }
            start if start == '_' || start.is_ascii_alphabetic() => {
                let mut name = String::from(start);
                while let Some(part) = rest.next_if(|next| *next == '_' || next.is_ascii_alphanumeric()) {
                    name.push(part);
                }
                tokens.push(Token::Name(name));
            }
            start if start == '-' || start.is_ascii_digit() => {
                let mut number = String::from(start);
                let part = |next: &char| next.is_ascii_digit() || ".eE+-".contains(*next);
                while let Some(next) = rest.next_if(part) {
                    number.push(next);
                }
                tokens.push(Token::Number(number));
            }
            other => return Err(Problem::new(format!("Parse error on {other:?}"))),
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

/// Reads a document; fragments are put in where they are spread.
pub(crate) fn parse(source: &str) -> Result<Document, Problem> {
    let mut parser = Parser { tokens: tokens(source)?.into_iter().peekable(), depth: 0 };
    let mut operations = Vec::new();
    let mut fragments = BTreeMap::new();
    while let Some(token) = parser.tokens.peek() {
        match token {
            Token::Mark('{') => operations.push(Operation {
                mutation: false,
                name: String::new(),
                defaults: BTreeMap::new(),
                selections: parser.selections()?,
            }),
            Token::Name(word) if word == "query" || word == "mutation" => {
                operations.push(parser.operation()?)
            }
            Token::Name(word) if word == "fragment" => {
                parser.tokens.next();
                let name = parser.name()?;
                parser.name()?;
                let on = parser.name()?;
                let selections = parser.selections()?;
                fragments.insert(name, (on, selections));
            }
            Token::Name(_) | Token::Text(_) | Token::Number(_) | Token::Mark(_) | Token::Spread => {
                return Err(parser.unexpected());
            }
        }
    }
    for operation in &mut operations {
        operation.selections = unspread(&operation.selections, &fragments, 0)?;
    }
    Ok(Document { operations })
}

type Fragments = BTreeMap<String, (String, Vec<Selection>)>;

fn unspread(
    selections: &[Selection],
    fragments: &Fragments,
    depth: usize,
) -> Result<Vec<Selection>, Problem> {
    if depth > DEPTH_MAX {
        return Err(Problem::new("Query has depth beyond the maximum, or a fragment that contains itself"));
    }
    let deeper = |selections: &[Selection]| unspread(selections, fragments, depth + 1);
    selections
        .iter()
        .map(|selection| match selection {
            Selection::Field { alias, name, arguments, selections } => Ok(Selection::Field {
                alias: alias.clone(),
                name: name.clone(),
                arguments: arguments.clone(),
                selections: deeper(selections)?,
            }),
            Selection::Inline { on, selections } => {
                Ok(Selection::Inline { on: on.clone(), selections: deeper(selections)? })
            }
            Selection::Spread(name) => {
                let (on, selections) = fragments
                    .get(name)
                    .ok_or_else(|| Problem::new(format!("Fragment {name} was used, but not defined")))?;
                Ok(Selection::Inline { on: on.clone(), selections: deeper(selections)? })
            }
        })
        .collect()
}

impl Parser {
    fn unexpected(&mut self) -> Problem {
        match self.tokens.peek() {
            Some(token) => Problem::new(format!("Parse error on {token:?}")),
            None => Problem::new("Unexpected end of document"),
        }
    }

    fn takes(&mut self, mark: char) -> bool {
        self.tokens.next_if(|token| *token == Token::Mark(mark)).is_some()
    }

    fn mark(&mut self, mark: char) -> Result<(), Problem> {
        if self.takes(mark) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn name(&mut self) -> Result<String, Problem> {
        match self.tokens.next_if(|token| matches!(token, Token::Name(_))) {
            Some(Token::Name(name)) => Ok(name),
            Some(Token::Text(_) | Token::Number(_) | Token::Mark(_) | Token::Spread) | None => {
                Err(self.unexpected())
            }
        }
    }

    fn operation(&mut self) -> Result<Operation, Problem> {
        let mutation = self.name()? == "mutation";
        let name = self.name().unwrap_or_default();
        let mut defaults = BTreeMap::new();
        if self.takes('(') {
            while !self.takes(')') {
                self.mark('$')?;
                let variable = self.name()?;
                self.mark(':')?;
                self.kind()?;
                if self.takes('=') {
                    defaults.insert(variable, self.value()?);
                }
                self.directives()?;
            }
        }
        self.directives()?;
        Ok(Operation { mutation, name, defaults, selections: self.selections()? })
    }

    /// A type, which is read and not checked.
    fn kind(&mut self) -> Result<(), Problem> {
        let mut open = 0_usize;
        while self.takes('[') {
            open += 1;
        }
        self.name()?;
        self.takes('!');
        for _ in 0..open {
            self.mark(']')?;
            self.takes('!');
        }
        Ok(())
    }

    fn directives(&mut self) -> Result<(), Problem> {
        while self.takes('@') {
            self.name()?;
            self.arguments()?;
        }
        Ok(())
    }

    fn arguments(&mut self) -> Result<BTreeMap<String, Input>, Problem> {
        let mut arguments = BTreeMap::new();
        if self.takes('(') {
            while !self.takes(')') {
                let name = self.name()?;
                self.mark(':')?;
                arguments.insert(name, self.value()?);
            }
        }
        Ok(arguments)
    }

    fn deeper(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(Problem::new("Query has depth beyond the maximum")) } else { Ok(()) }
    }

    fn selections(&mut self) -> Result<Vec<Selection>, Problem> {
        self.deeper()?;
        self.mark('{')?;
        let mut selections = Vec::new();
        while !self.takes('}') {
            selections.push(self.selection()?);
        }
        self.depth -= 1;
        Ok(selections)
    }

    fn selection(&mut self) -> Result<Selection, Problem> {
        if self.tokens.next_if_eq(&Token::Spread).is_some() {
            return match self.name() {
                Ok(word) if word == "on" => {
                    let on = self.name()?;
                    self.directives()?;
                    Ok(Selection::Inline { on, selections: self.selections()? })
                }
                Ok(name) => {
                    self.directives()?;
                    Ok(Selection::Spread(name))
                }
                Err(_) => {
                    self.directives()?;
                    Ok(Selection::Inline { on: String::new(), selections: self.selections()? })
                }
            };
        }
        let first = self.name()?;
        let (alias, name) = if self.takes(':') { (first, self.name()?) } else { (first.clone(), first) };
        let arguments = self.arguments()?;
        self.directives()?;
        let nested = self.tokens.peek() == Some(&Token::Mark('{'));
        let selections = if nested { self.selections()? } else { Vec::new() };
        Ok(Selection::Field { alias, name, arguments, selections })
    }

    fn value(&mut self) -> Result<Input, Problem> {
        self.deeper()?;
        let value = match self.tokens.next() {
            Some(Token::Mark('$')) => Input::Variable(self.name()?),
            Some(Token::Mark('[')) => {
                let mut items = Vec::new();
                while !self.takes(']') {
                    items.push(self.value()?);
                }
                Input::List(items)
            }
            Some(Token::Mark('{')) => {
                let mut members = BTreeMap::new();
                while !self.takes('}') {
                    let name = self.name()?;
                    self.mark(':')?;
                    members.insert(name, self.value()?);
                }
                Input::Object(members)
            }
            Some(Token::Text(text)) => Input::Literal(text.into()),
            Some(Token::Number(number)) => Input::Literal(serde_json::from_str(&number).unwrap_or_default()),
            Some(Token::Name(word)) => Input::Literal(match word.as_str() {
                "true" => true.into(),
                "false" => false.into(),
                "null" => Value::Null,
                other => other.into(),
            }),
            Some(Token::Mark(_) | Token::Spread) | None => return Err(self.unexpected()),
        };
        self.depth -= 1;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn aliases_variables_defaults_and_fragments_are_understood() {
        let source = r#"
            # a comment
            query Threads($owner: String!, $n: Int = 7, $ids: [ID!]!) {
              here: repository(owner: $owner, name: "a\"b") { ...Parts, pull(number: $n, deep: {x: [1, OPEN]}) { id } }
            }
            fragment Parts on Repository { id }"#;
        let document = parse(source).expect("it is a document");
        let operation = document.operation(None).expect("it has one operation");
        assert!(!operation.mutation);
        let Some(Selection::Field { alias, name, arguments, selections }) = operation.selections.first()
        else {
            panic!("the first selection is a field");
        };
        assert_eq!((alias.as_str(), name.as_str()), ("here", "repository"));
        let variables = json!({"owner": "me"});
        let resolve = |input: &Input| input.resolve(&variables, &operation.defaults);
        assert_eq!(resolve(&arguments["owner"]), json!("me"));
        assert_eq!(resolve(&arguments["name"]), json!("a\"b"));
        assert!(matches!(&selections[0], Selection::Inline { on, .. } if on == "Repository"));
        let Selection::Field { arguments, .. } = &selections[1] else { panic!("the second is a field") };
        assert_eq!(resolve(&arguments["number"]), json!(7));
        assert_eq!(resolve(&arguments["deep"]), json!({"x": [1, "OPEN"]}));
    }

    #[test]
    fn nonsense_is_refused_and_never_panics() {
        let deep = "{a".repeat(100_000);
        let endless = "query { ...A } fragment A on X { ...A }";
        for source in [
            "",
            "{",
            "}",
            "query",
            "{ a(",
            "{ a(x: ) }",
            "mutation M($) {a}",
            "\"",
            "...",
            deep.as_str(),
            endless,
        ] {
            let outcome = parse(source).and_then(|document| document.operation(None).cloned());
            assert!(outcome.is_err(), "{}", source.get(..20).unwrap_or(source));
        }
    }
}
