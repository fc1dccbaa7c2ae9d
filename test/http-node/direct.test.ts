/**
 * Answers that are made without a fiber: they are sent like all others, a stopping server waits for them, and a mistake
 * in one of them ends no more than its own connection.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { serve } from "../../src/http-node/node-server.ts"
import type { Direct } from "../../src/http/direct.ts"
import { toEffect, whenDone } from "../../src/http/direct.ts"
import type { Answer, Done } from "../../src/http/exchange.ts"

const plain = (body: string): Answer => ({ status: 200, headers: { "content-type": "text/plain" }, body })

/** Answers `/ok`, fails to send `/unsendable`, and keeps the others until a test takes them. */
const answering = (kept: Array<Done<Answer, never>>) => ({ target }: { readonly target: string }): Direct<never> => ({
  answerUnsafe: (done) => {
    if (target === "/ok") return done(Exit.succeed(plain("ok")))
    if (target !== "/unsendable") return void kept.push(done)
    const answer = whenDone(
      done,
      (body: string) => done(Exit.succeed({ ...plain(body), headers: { "x-no": "line\nfeed" } }))
    )
    answer(Exit.succeed("never seen"))
  }
})

const ask = (port: number, path: string) =>
  Effect.promise(() =>
    fetch(`http://127.0.0.1:${port}${path}`).then(
      async (answer) => `${answer.status} ${await answer.text()}`,
      () => "cut"
    )
  )

describe("An answer without a fiber", () => {
  it.live("that cannot be sent ends its connection, and no other", () =>
    Effect.gen(function*() {
      const { port } = yield* serve({ host: "127.0.0.1", port: 0, handler: answering([]) })
      assert.strictEqual(yield* ask(port, "/unsendable"), "cut")
      assert.strictEqual(yield* ask(port, "/ok"), "200 ok")
    }).pipe(Effect.scoped))

  it.live("is waited for by a server that stops", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const kept: Array<Done<Answer, never>> = []
      const { port } = yield* Scope.provide(serve({ host: "127.0.0.1", port: 0, handler: answering(kept) }), scope)
      const asked = yield* Effect.forkChild(ask(port, "/late"), { startImmediately: true })
      while (kept.length === 0) yield* Effect.sleep("1 millis")
      const stopped = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* Effect.yieldNow
      kept[0]!(Exit.succeed(plain("late")))
      assert.strictEqual(yield* Fiber.join(asked), "200 late")
      yield* Fiber.join(stopped)
    }))

  it.effect("reports a mistake that is made on the way", () =>
    Effect.gen(function*() {
      const mistaken: Direct<never> = {
        answerUnsafe: (done) =>
          whenDone(done, () => {
            throw new Error("a mistake")
          })(Exit.succeed(1))
      }
      assert.isTrue(Exit.hasDies(yield* Effect.exit(Effect.scoped(toEffect(mistaken)))))
    }))
})
