"""How rows look in JSON: one function a resource, from a row to a plain object. No query, no policy rule and no HTTP here."""
