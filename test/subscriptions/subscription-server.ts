/**
 * The subscriptions' routes on a socket, with short ways to talk to them.
 */
import { Effect } from "effect"
import { serve } from "../../src/http-node/node-server.ts"
import { toEffect } from "../../src/http/direct.ts"
import { toAnswer } from "../../src/http/problem.ts"
import { makeRouter } from "../../src/http/router.ts"
import { subscriptionRoutes } from "../../src/subscriptions/subscription-routes.ts"

export interface Said {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

/** A server of the subscriptions alone; every path is theirs. */
export const served = Effect.gen(function*() {
  const route = makeRouter(yield* subscriptionRoutes)
  const { port } = yield* serve({
    host: "127.0.0.1",
    port: 0,
    handler: (request) => Effect.catch(toEffect(route(request)), (refusal) => Effect.succeed(toAnswer(refusal)))
  })
  const base = `http://127.0.0.1:${port}`
  const say = (method: string, url: string, body?: unknown, headers: Record<string, string> = {}) =>
    Effect.promise(async (): Promise<Said> => {
      const answer = await fetch(url.startsWith("http") ? url : `${base}/v1/stream/__ds/${url}`, {
        method,
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
      })
      const text = await answer.text()
      return {
        status: answer.status,
        headers: answer.headers,
        body: text === "" ? {} : JSON.parse(text) as Record<string, unknown>
      }
    })
  return { base, say }
})
