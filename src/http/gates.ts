/**
 * Gates: every request passes them before its route. A gate refuses the request, or lets it through and may tell the route
 * more of it, such as the name of its caller.
 */
import { type Cause, Context, Effect, Exit, Option } from "effect"
import type { Refusal } from "../domain/refusal.ts"
import type { Incoming } from "./exchange.ts"

/**
 * When a gate is asked, in this order; gates of one stage are asked in the order in which their rooms were added.
 *
 * - `origin`: may this page, or this address, use the server at all? A refusal here is hidden from web pages.
 * - `caller`: which caller sends this?
 * - `allowance`: may this caller do this, and now?
 *
 * An `OPTIONS` request passes the first stage only: browsers send it without credentials, and its answer tells nothing of
 * a stream.
 */
const stages = ["origin", "caller", "allowance"] as const

export interface Gate {
  readonly stage: typeof stages[number]
  /**
   * Returns what the gate adds to the request's context, or nothing; fails with the refusal. `context` has the additions of the gates
   * before this one. A gate that succeeds or fails at once (`Effect.succeed`, `Effect.fail`, `Effect.void`) costs the
   * request no fiber.
   */
  readonly pass: (
    request: Incoming,
    context: Context.Context<never>
  ) => Effect.Effect<Added, Refusal>
}

type Added = Context.Context<never> | void

/** The name of the caller, if a gate of the stage `caller` added it. Hooks see it as `by`. */
export const Caller: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "durable-streams/http/gates/Caller",
  { defaultValue: () => undefined }
)

/** Returns the name of the caller, for a route. */
export const callerOf = ({ context }: { readonly context: Context.Context<never> }): string | undefined =>
  Context.get(context, Caller)

/** A gate refused the request. */
export class Barred {
  readonly refusal: Refusal
  /** Whether the page, or the address that it came from, may not use the server at all. */
  readonly isOfOrigin: boolean

  constructor(refusal: Refusal, isOfOrigin: boolean) {
    this.refusal = refusal
    this.isOfOrigin = isOfOrigin
  }
}

/** The context of a request that passed the gates, or the refusal of one of them. */
type Passed = Context.Context<never> | Barred

/** Asks the gates in turn. Returns an effect only if a gate needs a fiber; the effect fails with defects only. */
export const makeGates = (gates: ReadonlyArray<Gate>) => {
  const ordered = stages.flatMap((stage) => gates.filter((gate) => gate.stage === stage))
  const ofOrigin = ordered.filter(({ stage }) => stage === "origin")

  const passFrom = (
    start: number,
    request: Incoming,
    before: Context.Context<never>
  ): Passed | Effect.Effect<Passed> => {
    const asked = request.method === "OPTIONS" ? ofOrigin : ordered
    let context = before
    for (let i = start; i < asked.length; i++) {
      const isOfOrigin = asked[i]!.stage === "origin"
      const passing = ask(asked[i]!, request, context)
      if (!isExit(passing)) {
        const rest = Effect.flatMap(passing, (added) => toEffect(passFrom(i + 1, request, joined(context, added))))
        return Effect.catch(rest, (refusal) => Effect.succeed(new Barred(refusal, isOfOrigin)))
      }
      if (Exit.isSuccess(passing)) {
        context = joined(context, passing.value)
        continue
      }
      const refusal = Option.getOrUndefined(Exit.findErrorOption(passing))
      return refusal === undefined
        ? Effect.failCause(passing.cause as Cause.Cause<never>)
        : new Barred(refusal, isOfOrigin)
    }
    return context
  }

  return (request: Incoming): Passed | Effect.Effect<Passed> => passFrom(0, request, nothing)
}

/** A gate that throws, instead of failing, must not end the server. */
const ask = (gate: Gate, request: Incoming, context: Context.Context<never>): Effect.Effect<Added, Refusal> => {
  try {
    return gate.pass(request, context)
  } catch (defect) {
    return Exit.die(defect)
  }
}

const isExit = (passing: Effect.Effect<Added, Refusal>): passing is Exit.Exit<Added, Refusal> => Exit.isExit(passing)

const nothing: Context.Context<never> = Context.empty()

const joined = (context: Context.Context<never>, added: Added): Context.Context<never> =>
  added === undefined ? context : Context.merge(context, added)

const toEffect = (passed: Passed | Effect.Effect<Passed>): Effect.Effect<Passed> =>
  Effect.isEffect(passed) ? passed : Effect.succeed(passed)
