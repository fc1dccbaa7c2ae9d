/**
 * A made-up room, as a room of `src` would be: a setting, a refusal, a gate, a route, headers and a metric of its own, in a
 * file that no file of `src` knows.
 */
import { Context, Effect, Schema } from "effect"
import { registerCounter } from "../../src/domain/metrics.ts"
import { Refusal } from "../../src/domain/refusal.ts"
import { count, valueOf } from "../../src/domain/setting.ts"
import { json } from "../../src/http/exchange.ts"
import { Caller, callerOf } from "../../src/http/gates.ts"
import { Router } from "../../src/http/router.ts"

export const toySettings = {
  toyMax: count({
    flag: "toy-max",
    about: "Toys of one child",
    default: 5,
    most: 100,
    page: { text: "toys of one child" }
  })
}

class ToysTaken extends Refusal<ToysTaken>()(
  "ToysTaken",
  { child: Schema.String, toyMax: Schema.Int },
  { status: 418, title: "The child has toys enough", headers: ({ toyMax }) => ({ "toys-left": 0, "toys-max": toyMax }) }
) {
  override get message() {
    return `${this.child} has ${this.toyMax} toys. Bring one back, or start the server with a larger --toy-max.`
  }
}

export const toyRoom = Router.room(Effect.gen(function*() {
  const toyMax = yield* valueOf(toySettings.toyMax)
  const taken = new Map<string, number>()
  let given = 0
  yield* registerCounter({ name: "toys_given", description: "Toys that were given" }, () => given)
  return {
    gates: [{
      stage: "caller",
      pass: (request) => Effect.succeed(Context.make(Caller, request.header("toy-child")))
    }],
    routes: [{
      method: "POST",
      path: "/toys/:toy",
      handle: (request) =>
        Effect.gen(function*() {
          const child = callerOf(request) ?? "a child"
          const toys = (taken.get(child) ?? 0) + 1
          if (toys > toyMax) return yield* new ToysTaken({ child, toyMax })
          taken.set(child, toys)
          given++
          const answer = json(201, JSON.stringify({ child, toy: request.parameter }))
          return { ...answer, headers: { ...answer.headers, "toys-left": `${toyMax - toys}` } }
        })
    }],
    reads: ["Toy-Child"],
    exposes: ["Toys-Left"]
  }
}))
