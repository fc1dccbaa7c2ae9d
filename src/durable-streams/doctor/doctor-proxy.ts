/**
 * The check of the way to a server that is elsewhere: whether a proxy in between passes events on as they come, or keeps
 * them until it has more. The check makes a stream, follows it, appends to it and deletes it.
 */
import { Clock, Deferred, Effect, Stream } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { randomUUID } from "node:crypto"
import { streamPath } from "../../api/wire.ts"
import { makeClient } from "../../client/client.ts"
import type { Finding } from "./finding.ts"

/** A proxy may pass the first event on with the head of the answer, and still keep the second. */
const eventsCount = 2

/** An event that a proxy keeps for so long, it keeps until there is more. */
const patience = 4_000

/** A way around the earth takes less. */
const delayMillisMax = 500

/** A UUID's. */
const markCharacters = 36

/** The stream is gone after this time, even if this command is killed. */
const ttlSeconds = 60

/** `arrivalMillisMax` is how long the check waits for an event; tests make it short. */
export const checkProxy = (
  url: string | undefined,
  arrivalMillisMax = patience
): Effect.Effect<Finding, never, HttpClient.HttpClient> =>
  url === undefined
    ? Effect.succeed({ status: "ok", says: "Not checked: DURABLE_STREAMS_URL is not set." })
    : measure(url, arrivalMillisMax).pipe(
      Effect.map((delay): Finding =>
        delay === undefined
          ? { status: "fail", says: `Events do not arrive through ${url} while they are followed.`, advice: unbuffered }
          : delay > delayMillisMax
          ? { status: "warn", says: `Events arrive through ${url} up to ${delay} ms late.`, advice: unbuffered }
          : { status: "ok", says: `Events arrive through ${url} at once (${delay} ms).` }
      ),
      Effect.catch((error) =>
        Effect.succeed<Finding>({ status: "fail", says: `${url} could not be used.`, advice: error.message })
      )
    )

const unbuffered =
  "Let the proxy pass answers on as they come (nginx: proxy_buffering off), and not compress text/event-stream."

/** How late the latest of a few events came, in milliseconds; undefined when one did not come. */
const measure = Effect.fnUntraced(function*(url: string, arrivalMillisMax: number) {
  const client = makeClient(url)
  const name = `doctor/${randomUUID()}`
  yield* client.health
  yield* client.create(name, { contentType: "application/json", ttlSeconds })
  return yield* Effect.gen(function*() {
    const marks = Array.from({ length: eventsCount }, () => randomUUID())
    const arrivals = yield* Effect.forEach(marks, () => Deferred.make<bigint>())
    const connected = yield* Deferred.make<void>()
    let text = ""
    yield* Effect.forkScoped(
      HttpClient.execute(
        HttpClientRequest.get(`${client.url}${streamPath(name)}?offset=-1`).pipe(
          HttpClientRequest.setHeader("accept", "text/event-stream")
        )
      ).pipe(
        Effect.tap(() => Deferred.succeed(connected, undefined)),
        Effect.flatMap((response) =>
          response.stream.pipe(
            Stream.decodeText(),
            Stream.runForEach((part) =>
              Effect.gen(function*() {
                // A mark may come in two parts; the text before them is let go.
                text = text.slice(-markCharacters) + part
                const now = yield* Clock.monotonicTimeNanos
                for (const [i, mark] of marks.entries()) {
                  if (text.includes(mark)) yield* Deferred.succeed(arrivals[i]!, now)
                }
              })
            )
          )
        ),
        Effect.ignore
      )
    )
    // A proxy that keeps events may keep the head of the answer with them.
    yield* Effect.timeoutOption(Deferred.await(connected), arrivalMillisMax)
    let latest = 0
    for (const [i, mark] of marks.entries()) {
      yield* client.append(name, JSON.stringify(mark))
      const answered = yield* Clock.monotonicTimeNanos
      const arrived = yield* Effect.timeoutOption(Deferred.await(arrivals[i]!), arrivalMillisMax)
      if (arrived._tag === "None") return undefined
      latest = Math.max(latest, Number(arrived.value - answered) / 1_000_000)
    }
    return latest
  }).pipe(Effect.scoped, Effect.ensuring(Effect.ignore(client.delete(name))))
})
