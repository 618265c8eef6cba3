"use strict";

// The key stays in the memory of this page. validatorUrl: else Swagger UI sends the address of openapi.json to swagger.io.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#endpoints",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: false,
  queryConfigEnabled: false,
  validatorUrl: null,
});
