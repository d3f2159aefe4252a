//! The OpenAPI 3.1 description, which is generated from the same table of routes as the server.

use axum::Router;
use axum::extract::Request;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::routing::MethodRouter;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::api::problem::Problem;
use crate::auth::Scope;

use super::app::App;
use super::refusal::{Wording, bare};

/// A route: a path, the operations there, and their handler.
pub(super) struct Route {
    pub(super) path: &'static str,
    /// The service that the route belongs to, as metrics label it.
    pub(super) service: &'static str,
    pub(super) operations: Vec<Operation>,
    /// Whether the methods depend on the resource, so that the handler checks them.
    pub(super) varied: bool,
    pub(super) handler: MethodRouter<App>,
}

/// A method at a path.
pub(super) struct Operation {
    pub(super) method: Method,
    /// A name for generated clients.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) scope: Option<Scope>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) request: Vec<Content>,
    pub(super) responses: Vec<(StatusCode, &'static str, Vec<Content>)>,
}

/// A parameter of an operation.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// The JSON type of its value.
    pub(super) kind: &'static str,
}

/// A body: its media type and its schema.
pub(super) struct Content {
    pub(super) media_type: &'static str,
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Describes a body of type `T`.
pub(super) fn content<T: JsonSchema>(media_type: &'static str) -> Content {
    Content {
        media_type,
        schema: |generator| generator.subschema_for::<T>(),
    }
}

/// Makes a router of these routes. A method that a route does not have is answered 405 with
/// `Allow`, and `OPTIONS` 204 with the same header, unless the methods of the route vary.
pub(super) fn router(routes: Vec<Route>) -> Router<App> {
    routes.into_iter().fold(Router::new(), |router, route| {
        if route.varied {
            return router.route(route.path, route.handler);
        }
        let mut methods: Vec<Method> = route.operations.iter().map(|o| o.method.clone()).collect();
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        methods.push(Method::OPTIONS);
        let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
        let allow = names.join(", ");
        let guard = move |request: Request, next: Next| {
            let (methods, allow) = (methods.clone(), allow.clone());
            async move {
                let mut response = match request.method() {
                    &Method::OPTIONS => bare(StatusCode::NO_CONTENT),
                    method if methods.contains(method) => return next.run(request).await,
                    method => Wording::of(request.uri().path()).refuse(
                        StatusCode::METHOD_NOT_ALLOWED,
                        "method",
                        &format!("{method} is not possible here; possible are {allow}"),
                    ),
                };
                if let Ok(value) = HeaderValue::try_from(allow) {
                    response.headers_mut().insert(ALLOW, value);
                }
                response
            }
        };
        router.route(route.path, route.handler.layer(middleware::from_fn(guard)))
    })
}

/// Describes these routes.
pub(super) fn describe(routes: &[Route]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let operations = route.operations.iter().map(|operation| {
            let name = operation.method.as_str().to_ascii_lowercase();
            (name, operation.describe(&mut generator))
        });
        paths.insert(route.path.to_owned(), Value::Object(operations.collect()));
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "altofed",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "An ALTO node: its network-to-server API, its ALTO services and its operation",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token of the node's configuration"},
            },
        },
    })
}

impl Operation {
    fn describe(&self, generator: &mut SchemaGenerator) -> Value {
        let mut out = json!({
            "operationId": self.id,
            "summary": self.summary,
            "responses": {},
        });
        if let Some(scope) = self.scope {
            out["security"] = json!([{"bearer": []}]);
            out["description"] = json!(format!("Needs a token with scope `{}`.", scope.as_str()));
        }
        if !self.parameters.is_empty() {
            out["parameters"] = self.parameters.iter().map(Parameter::describe).collect();
        }
        if !self.request.is_empty() {
            let content = contents(&self.request, generator);
            out["requestBody"] = json!({"required": true, "content": content});
        }
        for (status, description, bodies) in &self.responses {
            let mut response = json!({"description": description});
            if !bodies.is_empty() {
                response["content"] = contents(bodies, generator);
            }
            out["responses"][status.as_str()] = response;
        }
        let problem = [content::<Problem>(crate::alto::media::PROBLEM)];
        out["responses"]["default"] = json!({
            "description": "The request was refused and changed nothing",
            "content": contents(&problem, generator),
        });
        out
    }
}

impl Parameter {
    fn describe(&self) -> Value {
        json!({
            "in": self.place,
            "name": self.name,
            "description": self.description,
            "required": self.place == "path",
            "schema": {"type": self.kind},
        })
    }
}

fn contents(bodies: &[Content], generator: &mut SchemaGenerator) -> Value {
    let described = bodies.iter().map(|body| {
        let schema = (body.schema)(generator);
        (body.media_type.to_owned(), json!({"schema": schema}))
    });
    Value::Object(described.collect())
}
