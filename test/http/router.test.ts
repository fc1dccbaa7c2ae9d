/**
 * Routes on the raw path (promise 12): the meaning of a star, and which of several paths wins.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { toEffect } from "../../src/http/direct.ts"
import type { Route } from "../../src/http/router.ts"
import { makeRouter } from "../../src/http/router.ts"

const route = (method: Route["method"], path: string): Route => ({
  method,
  path,
  handle: ({ parameters }) =>
    Effect.succeed({ status: 200, headers: {}, body: `${method} ${path} ${parameters.join("|")}` })
})

const router = makeRouter([
  route("GET", "/s/*"),
  route("PUT", "/s/*"),
  route("HEAD", "/s/*"),
  route("GET", "/s/__ds/:id"),
  route("DELETE", "/s/__ds/:id/streams/*"),
  route("POST", "/s/__ds/*"),
  route("GET", "/:name")
])

const answer = (method: string, target: string) =>
  Effect.runSync(
    Effect.scoped(toEffect(router({
      method,
      target,
      version: "1.1",
      stopping: Effect.never,
      header: () => undefined,
      headerCount: () => 0,
      body: () => Effect.succeed(new Uint8Array(0)),
      bodyUnsafe: (_, done) => done(Exit.succeed(new Uint8Array(0)))
    }))).pipe(
      Effect.map(({ body, headers }) => body ?? headers["allow"]),
      Effect.catch((refusal) => Effect.succeed(refusal._tag))
    )
  )

describe("the router", () => {
  it("takes the rest of the raw path for a star, and decodes it once", () => {
    assert.strictEqual(answer("GET", "/s/a/b%2Fc//%2e%2e/?x=/y"), "GET /s/* a/b/c//../")
    assert.strictEqual(answer("PUT", "/s/%252F"), "PUT /s/* %2F")
    assert.strictEqual(answer("GET", "/s//"), "GET /s/* /")
    assert.strictEqual(answer("GET", "/s/%e9"), "InvalidRequest")
    assert.strictEqual(answer("GET", "/s/"), "RouteNotFound")
    assert.strictEqual(answer("GET", "/s"), "GET /:name s")
    assert.strictEqual(answer("GET", "/%2F"), "GET /:name /")
  })

  it("prefers the path without a star, then the longest", () => {
    assert.strictEqual(answer("GET", "/s/__ds/1"), "GET /s/__ds/:id 1")
    assert.strictEqual(answer("DELETE", "/s/__ds/1/streams/a/b"), "DELETE /s/__ds/:id/streams/* 1|a/b")
    assert.strictEqual(answer("POST", "/s/__ds/a/b"), "POST /s/__ds/* a/b")
    // A path that this room does not serve falls through to no wider one.
    assert.strictEqual(answer("PUT", "/s/__ds/a/b"), "MethodNotAllowed")
    assert.strictEqual(answer("GET", "/s/%5F_ds/1"), "GET /s/* __ds/1")
  })

  it("answers HEAD as GET unless the path has its own", () => {
    assert.strictEqual(answer("HEAD", "/s/a"), "HEAD /s/* a")
    assert.strictEqual(answer("HEAD", "/s/__ds/1"), "GET /s/__ds/:id 1")
    assert.strictEqual(answer("OPTIONS", "/s/a"), "GET, HEAD, PUT, OPTIONS")
    assert.strictEqual(answer("OPTIONS", "/s/__ds/1"), "GET, HEAD, OPTIONS")
  })
})
