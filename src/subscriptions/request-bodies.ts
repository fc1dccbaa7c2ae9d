/**
 * The bodies of requests about subscriptions, checked: a body of another form than the documented one is refused with a
 * sentence that says the right one. Unknown members are ignored.
 */
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { fixedLimits } from "../domain/limits.ts"
import { isReserved, nameFault, registryName } from "../domain/types.ts"
import type { SubscriptionRefused } from "./machine/refusals.ts"
import { RequestInvalid, WebhookUrlRejected } from "./machine/refusals.ts"
import { withoutEndSlashes } from "./machine/stream-names.ts"
import type { Config } from "./machine/subscription.ts"
import { patternFault } from "./running/glob.ts"

const { linksMax } = fixedLimits

const leaseMillisDefault = 30_000
const leaseMillisMin = 1_000
const leaseMillisMax = 600_000

/** A note for people, which is in every answer about the subscription. */
const descriptionLengthMax = 1_024

/** A worker's name for other workers, which is in the refusals that they get. */
const workerLengthMax = 256

const orNull = <S extends Schema.Top>(schema: S) => Schema.optional(Schema.NullOr(schema))

export const PutBody = Schema.Struct({
  type: Schema.Literals(["webhook", "pull-wake"]),
  pattern: orNull(Schema.String),
  streams: orNull(Schema.Array(Schema.String)),
  webhook: orNull(Schema.Struct({ url: Schema.String })),
  wake_stream: orNull(Schema.String),
  lease_ttl_ms: orNull(Schema.Int),
  description: orNull(Schema.String)
})

export const StreamsBody = Schema.Struct({ streams: Schema.NonEmptyArray(Schema.String) })

export const ClaimBody = Schema.Struct({ worker: Schema.NonEmptyString.check(Schema.isMaxLength(workerLengthMax)) })

export const WakeBody = Schema.Struct({ wake_id: Schema.String, generation: Schema.Int })

const Ack = Schema.Struct({
  stream: Schema.optional(Schema.String),
  // The name of the member in older clients.
  path: Schema.optional(Schema.String),
  offset: Schema.String
})

export const AckBody = Schema.Struct({
  ...WakeBody.fields,
  acks: orNull(Schema.Array(Ack)),
  done: orNull(Schema.Boolean)
})

/** Finds the name of the stream that a client means by the name it sent. */
export type NameOf<E> = (sent: string) => Effect.Effect<string, E>

/** The configuration in its normal form. `urlFault` judges the URL of a webhook. */
export const toConfig = Effect.fnUntraced(function*<E>(
  text: string,
  urlFault: (url: string) => string | undefined,
  nameOf: NameOf<E>
) {
  const body = yield* decode(PutBody, text)
  const pattern = withoutEndSlashes(body.pattern ?? "")
  const streams = [...new Set(yield* streamNames(body.streams ?? [], nameOf))].toSorted()
  const wakeStream = body.type === "pull-wake" && typeof body.wake_stream === "string"
    ? yield* nameOf(body.wake_stream)
    : undefined
  const config: Config = {
    type: body.type,
    pattern: pattern === "" ? undefined : pattern,
    streams,
    webhookUrl: body.type === "webhook" ? body.webhook?.url : undefined,
    wakeStream,
    leaseMillis: body.lease_ttl_ms ?? leaseMillisDefault,
    description: body.description ?? undefined
  }
  const fault = configFault(config)
  if (fault !== undefined) return yield* invalid(fault)
  if (config.webhookUrl !== undefined) {
    const rejected = urlFault(config.webhookUrl)
    if (rejected !== undefined) return yield* new WebhookUrlRejected({ message: rejected })
  }
  return config
})

/** The hash that two requests for the same subscription have in common (PROTOCOL.md 6.2). */
export const hashOf = (config: Config): string => createHash("sha256").update(JSON.stringify(config)).digest("hex")

export const toStreams = <E>(text: string, nameOf: NameOf<E>) =>
  Effect.flatMap(decode(StreamsBody, text), ({ streams }) => streamNames(streams, nameOf))

/** The name of a stream as the client sent it; refused if no stream can have it. */
export const toStreamName = (name: string): Effect.Effect<string, SubscriptionRefused> => {
  const fault = streamFault(name)
  return fault === undefined ? Effect.succeed(name) : invalid(fault)
}

export const toWorker = (text: string) => Effect.map(decode(ClaimBody, text), ({ worker }) => worker)

export const toWakeReference = (text: string) =>
  Effect.map(decode(WakeBody, text), ({ generation, wake_id: wakeId }) => ({ generation, wakeId }))

export const toAcks = Effect.fnUntraced(function*(text: string) {
  const { acks, done, generation, wake_id: wakeId } = yield* decode(AckBody, text)
  const named = yield* Effect.forEach(acks ?? [], ({ offset, path, stream = path }) =>
    stream === undefined
      ? invalid("Each of acks names its stream.")
      : Effect.succeed([stream, toNumber(offset)] as const))
  return { wakeId, generation, acks: named, done: done ?? false }
})

/** The number of an offset of this server; undefined for any other text. */
const toNumber = (offset: string): number | undefined =>
  /^\d{16}$/.test(offset) && Number.isSafeInteger(Number(offset)) ? Number(offset) : undefined

const configFault = ({ description, leaseMillis, pattern, streams, type, wakeStream, webhookUrl }: Config) => {
  if (pattern === undefined && streams.length === 0) return "Name streams, or give a pattern, or both."
  const fault = pattern === undefined ? undefined : patternFault(pattern)
  if (fault !== undefined) return fault
  if (leaseMillis < leaseMillisMin || leaseMillis > leaseMillisMax) {
    return `lease_ttl_ms is from ${leaseMillisMin} to ${leaseMillisMax}.`
  }
  if (description !== undefined && description.length > descriptionLengthMax) {
    return `A description has at most ${descriptionLengthMax} characters.`
  }
  if (type === "webhook") return webhookUrl === undefined ? "A webhook subscription needs webhook.url." : undefined
  if (wakeStream === undefined) return "A pull-wake subscription needs wake_stream."
  if (streams.includes(wakeStream)) return "A subscription does not read its own wake stream."
  // Only the server writes to the registry.
  return wakeStream === registryName ? `The name ${JSON.stringify(wakeStream)} is reserved.` : streamFault(wakeStream)
}

const streamNames = <E>(names: ReadonlyArray<string>, nameOf: NameOf<E>) =>
  names.length > linksMax
    ? invalid(tooManyStreams)
    : Effect.forEach(names, (name) => Effect.flatMap(nameOf(name), toStreamName))

const tooManyStreams = `A subscription reads at most ${linksMax} streams.`

const streamFault = (name: string): string | undefined => {
  const fault = nameFault(name)
  if (fault !== undefined) return `${JSON.stringify(name)} is no stream name: ${fault}.`
  return isReserved(name) ? `The name ${JSON.stringify(name)} is reserved.` : undefined
}

const invalid = (message: string) => Effect.fail(new RequestInvalid({ message: message }))

const decode = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  text: string
): Effect.Effect<S["Type"], SubscriptionRefused> =>
  Effect.mapError(
    Schema.decodeEffect(Schema.fromJsonString(schema))(text === "" ? "{}" : text),
    (error) => new RequestInvalid({ message: `The body is not what it should be: ${error.message}` })
  )
