"use strict";
// Shows the document. "Try it out" works with the page's own sign-in: its cookie goes along by
// itself, and the CSRF value that the server also wants is read from the cookie beside it.
(() => {
  const csrf = () => /(?:^|; )csrf_access_token=([^;]*)/.exec(document.cookie)?.[1];

  SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#operations",
    deepLinking: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      const value = csrf();
      if (value && !request.headers.Authorization) request.headers["X-CSRF-TOKEN"] = value;
      return request;
    },
  });
})();
