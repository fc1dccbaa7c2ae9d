/**
 * How a following opens, for every API: it takes one of the stream's places for followers, and an `EventSource` that
 * resumes is answered in the way that it understands (promise 10).
 */
import { Effect, type Scope } from "effect"
import type { Overloaded } from "../domain/errors.ts"
import type { Refusal } from "../domain/refusal.ts"
import type { StreamName } from "../domain/types.ts"
import type { Answer } from "../http/exchange.ts"
import type { Followers } from "../manager/followers.ts"
import { placeHeaders } from "./append-headers.ts"
import { isLost, problemFrame } from "./problem-frame.ts"
import type { Opening } from "./reading-start.ts"
import { lifeHeader } from "./reading-start.ts"

/**
 * Opens with `opening` and returns the answer that `answer` makes of it. Fails with `Overloaded` when the stream has as many
 * followers as it may have, and like the two effects. The place is free again when the scope closes. A follower that
 * resumes (`isResumed`) gets a problem in a frame when its place is lost, and 204 when it has all of a closed stream.
 */
export const openFollowing = <O extends Opening, E extends Refusal, R, E2, R2>(
  followers: Followers,
  name: StreamName,
  isResumed: boolean,
  opening: Effect.Effect<O, E, R>,
  answer: (opening: O) => Effect.Effect<Answer, E2, R2>
): Effect.Effect<Answer, E | E2 | Overloaded, R | R2 | Scope.Scope> =>
  Effect.gen(function*() {
    yield* followers.enter(name)
    if (!isResumed) return yield* answer(yield* opening)
    const opened = yield* Effect.catch(opening, lostPlace)
    if ("status" in opened) return opened
    return opened.closed && opened.start.next >= opened.tail ? ended(opened) : yield* answer(opened)
  })

/** An `EventSource` gives up for good on a refusal, and cannot read it: a frame tells it that its place is gone. */
const lostPlace = <E extends Refusal>(refusal: E): Effect.Effect<Answer, E> =>
  isLost(refusal)
    ? Effect.succeed({ status: 200, headers: sseHeaders, body: problemFrame(refusal) })
    : Effect.fail(refusal)

/** An `EventSource` that is answered 204 does not come back (WHATWG HTML 9.2.3): there will never be more. */
const ended = ({ description, tail }: Opening): Answer => ({
  status: 204,
  headers: { ...placeHeaders(tail, true), ...lifeHeader(description), "cache-control": "no-store" },
  body: undefined
})

export const sseHeaders = {
  // Always UTF-8; clients that go by the rules for other texts would take it for Latin-1.
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  // Proxies of the nginx family would collect events otherwise.
  "x-accel-buffering": "no"
}
