//! The template as CloudFormation sees it: conditions decided, parameters filled in.
//!
//! Source of the functions: AWS CloudFormation Template Reference Guide, "Intrinsic function
//! reference" and "Pseudo parameters reference". Only what the template uses is here; anything
//! else is a panic.

use serde_json::{Map, Value, json};

use crate::support::skip;

/// Where a stack is: `AWS::Partition`, `AWS::Region` and `AWS::URLSuffix`.
pub type Place = [&'static str; 3];

const COMMERCIAL: Place = ["aws", "us-east-1", "amazonaws.com"];

/// The transformed template, and the values of its parameters.
pub struct Template {
    document: Value,
    place: Place,
    parameters: Map<String, Value>,
}

/// The template that scripts/test transforms, with its defaults but for these parameters; or None
/// after skipping aloud.
pub fn template(changed: &[(&str, &str)]) -> Option<Template> {
    read("FOURSTEP_TEST_TEMPLATE", changed)
}

/// The same of the transformed template that a variable names.
pub fn read(variable: &str, changed: &[(&str, &str)]) -> Option<Template> {
    let Ok(path) = std::env::var(variable) else {
        skip(variable);
        return None;
    };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let document: Value = serde_json::from_str(&text).unwrap();
    let defined = document["Parameters"].as_object().unwrap();
    for (name, _) in changed {
        assert!(defined.contains_key(*name), "no parameter {name}");
    }
    let parameters = defined.iter().map(|(name, definition)| {
        let given = changed.iter().find(|(changed, _)| changed == name);
        let value =
            given.map_or_else(|| text_of(&definition["Default"]), |(_, value)| (*value).to_owned());
        let value = match definition["Type"].as_str().unwrap() {
            "CommaDelimitedList" => value.split(',').map(Value::from).collect(),
            _ => json!(value),
        };
        (name.clone(), value)
    });
    let place = COMMERCIAL;
    Some(Template { parameters: parameters.collect(), place, document: document.clone() })
}

impl Template {
    /// The same stack elsewhere.
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// Every resource whose condition holds, by its logical id.
    pub fn resources(&self) -> Map<String, Value> {
        self.existing("Resources")
    }

    /// The names of all parameters.
    pub fn parameters(&self) -> Vec<&str> {
        self.parameters.keys().map(String::as_str).collect()
    }

    /// What is written down of a parameter.
    pub fn definition(&self, parameter: &str) -> &Value {
        &self.document["Parameters"][parameter]
    }

    /// Each group of parameters, as the console shows them.
    pub fn groups(&self) -> &Vec<Value> {
        let interface = &self.document["Metadata"]["AWS::CloudFormation::Interface"];
        interface["ParameterGroups"].as_array().unwrap()
    }

    /// Which of the template's rules these parameters break: a deployment would be refused.
    pub fn broken_rules(&self) -> Vec<&str> {
        let rules = self.document["Rules"].as_object().unwrap();
        rules
            .iter()
            .filter(|(_, rule)| self.truth(&rule["RuleCondition"]))
            .filter(|(_, rule)| {
                let mut assertions = rule["Assertions"].as_array().unwrap().iter();
                !assertions.all(|assertion| self.truth(&assertion["Assert"]))
            })
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Every output whose condition holds.
    pub fn outputs(&self) -> Map<String, Value> {
        self.existing("Outputs")
    }

    fn existing(&self, section: &str) -> Map<String, Value> {
        let all = self.document[section].as_object().unwrap();
        let exists =
            |value: &Value| value["Condition"].as_str().is_none_or(|name| self.holds(name));
        all.iter()
            .filter(|(_, value)| exists(value))
            .map(|(name, value)| (name.clone(), self.resolved(value).unwrap()))
            .collect()
    }

    fn holds(&self, condition: &str) -> bool {
        let rule = &self.document["Conditions"][condition];
        assert!(rule.is_object(), "no condition {condition}");
        self.truth(rule)
    }

    fn truth(&self, rule: &Value) -> bool {
        let (function, argument) = function(rule).unwrap_or_else(|| panic!("no condition: {rule}"));
        let parts = || argument.as_array().unwrap();
        match function {
            "Condition" => self.holds(argument.as_str().unwrap()),
            "Fn::Equals" => self.resolved(&parts()[0]) == self.resolved(&parts()[1]),
            "Fn::Not" => !self.truth(&parts()[0]),
            "Fn::Or" => parts().iter().any(|part| self.truth(part)),
            "Fn::And" => parts().iter().all(|part| self.truth(part)),
            other => panic!("{other} is not known here"),
        }
    }

    /// None is AWS::NoValue: the property is left out.
    fn resolved(&self, value: &Value) -> Option<Value> {
        if let Some((function, argument)) = function(value) {
            return self.called(function, argument);
        }
        Some(match value {
            Value::Array(items) => items.iter().filter_map(|item| self.resolved(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .filter_map(|(name, field)| Some((name.clone(), self.resolved(field)?)))
                .collect::<Map<_, _>>()
                .into(),
            plain => plain.clone(),
        })
    }

    fn called(&self, function: &str, argument: &Value) -> Option<Value> {
        match function {
            "Ref" if argument == "AWS::NoValue" => None,
            "Ref" => Some(self.named(argument.as_str().unwrap())),
            // Where it leads is what matters here.
            "Fn::GetAtt" => {
                Some(json!(format!("{}.{}", text_of(&argument[0]), text_of(&argument[1]))))
            }
            "Fn::If" => {
                let holds = self.holds(argument[0].as_str().unwrap());
                self.resolved(&argument[if holds { 1 } else { 2 }])
            }
            "Fn::Join" => {
                let items = self.resolved(&argument[1]).unwrap();
                let items: Vec<String> = items.as_array().unwrap().iter().map(text_of).collect();
                Some(json!(items.join(argument[0].as_str().unwrap())))
            }
            "Fn::Split" => {
                let text = text_of(&self.resolved(&argument[1]).unwrap());
                Some(text.split(argument[0].as_str().unwrap()).map(Value::from).collect())
            }
            "Fn::Select" => {
                let items = self.resolved(&argument[1]).unwrap();
                let index = usize::try_from(argument[0].as_u64().unwrap()).unwrap();
                Some(items[index].clone())
            }
            "Fn::Sub" => Some(self.substituted(argument.as_str().unwrap()).into()),
            other => panic!("{other} is not known here"),
        }
    }

    fn substituted(&self, text: &str) -> String {
        let mut pieces = text.split("${");
        let mut whole = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').unwrap();
            whole.push_str(&text_of(&self.named(name)));
            whole.push_str(rest);
        }
        whole
    }

    /// A parameter's value; a resource's logical id.
    fn named(&self, name: &str) -> Value {
        let [partition, region, suffix] = self.place;
        let pseudo = match name {
            "AWS::AccountId" => Some("111122223333"),
            "AWS::Partition" => Some(partition),
            "AWS::Region" => Some(region),
            "AWS::StackName" => Some("fourstep"),
            "AWS::URLSuffix" => Some(suffix),
            _ => None,
        };
        match (pseudo, self.parameters.get(name)) {
            (Some(value), _) => json!(value),
            (None, Some(value)) => value.clone(),
            (None, None) => {
                assert!(self.document["Resources"][name].is_object(), "nothing is named {name}");
                json!(name)
            }
        }
    }
}

/// The one function that an object is.
fn function(value: &Value) -> Option<(&str, &Value)> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (name, argument) = fields.iter().next()?;
    let condition = name == "Condition" && argument.is_string();
    (name == "Ref" || name.starts_with("Fn::") || condition).then_some((name.as_str(), argument))
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
