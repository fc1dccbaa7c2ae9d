/**
 * A server's subscriptions without its other parts, over a storage that outlives them, so that a test can end and begin
 * them again. Webhooks are either real ones or a stand-in that reports its calls.
 */
import { Context, Effect, Layer } from "effect"
import type { StreamName } from "../../src/domain/types.ts"
import { parseEvent } from "../../src/event/event-block.ts"
import { EventData } from "../../src/event/event-data.ts"
import { ActiveFactory } from "../../src/hooks/stream-factory.ts"
import { PublicUrl } from "../../src/http/public-url.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { Storage } from "../../src/storage/storage.ts"
import type { Config } from "../../src/subscriptions/machine/subscription.ts"
import { Subscriptions } from "../../src/subscriptions/subscriptions.ts"
import { Keys } from "../../src/subscriptions/webhook/keys.ts"
import { WebhookFailed, WebhookSender } from "../../src/subscriptions/webhook/webhook-sender.ts"
import { temporaryDirectory } from "../support/served.ts"

/** One call of the stand-in. */
export interface Call {
  readonly url: string
  readonly signature: string
  readonly text: string
  readonly body: WakeBody
}

export interface WakeBody {
  readonly subscription_id: string
  readonly wake_id: string
  readonly generation: number
  readonly streams: ReadonlyArray<WakeStream>
  readonly callback_url: string
  readonly callback_token: string
}

export interface WakeStream {
  readonly path: string
  readonly link_type: string
  readonly acked_offset: string
  readonly tail_offset: string
  readonly has_pending: boolean
}

/** Webhooks that are called here, and answer as `answer` says; undefined: they cannot be reached. */
export class StandIn {
  readonly calls: Array<Call> = []
  answer: (call: Call) => string | undefined = () => "{}"

  readonly layer = Layer.succeed(
    WebhookSender,
    WebhookSender.of({
      fault: () => undefined,
      post: (url, text, headers) =>
        Effect.suspend(() => {
          const call = { url, text, signature: headers["webhook-signature"] ?? "", body: JSON.parse(text) as WakeBody }
          this.calls.push(call)
          const answer = this.answer(call)
          return answer === undefined
            ? Effect.fail(new WebhookFailed({ message: "Nobody is there." }))
            : Effect.succeed(answer)
        })
    })
  )
}

/** The parts that outlive the subscriptions. */
export interface Ground {
  readonly storage: Storage["Service"]
  readonly keyDirectory: string
}

/** Streams and subscriptions on a storage. */
export const layerOn = <E>(
  storage: Layer.Layer<Storage, E>,
  keyDirectory: string,
  sender: Layer.Layer<WebhookSender>
) =>
  Subscriptions.layer.pipe(
    Layer.provideMerge(StreamManager.layer.pipe(Layer.provide(ActiveFactory))),
    Layer.provideMerge(storage),
    Layer.provideMerge(Keys.layer(keyDirectory)),
    Layer.provideMerge(sender),
    Layer.provideMerge(PublicUrl.layer)
  )

/** All of it in memory, with real calls of webhooks. */
export const stage = Layer.unwrap(Effect.map(
  temporaryDirectory,
  (directory) => layerOn(layerMemory, `${directory}/keys`, WebhookSender.layer(true))
))

/** Streams and subscriptions from now until the scope closes. */
export const begin = ({ keyDirectory, storage }: Ground, sender: Layer.Layer<WebhookSender>) =>
  Layer.build(layerOn(Layer.succeed(Storage, storage), keyDirectory, sender))

export const memoryStorage = Effect.map(Layer.build(layerMemory), (context) => Context.get(context, Storage))

/** A subscription to a webhook. */
export const webhookConfig = (more: Partial<Config>): Config => ({
  type: "webhook",
  pattern: undefined,
  streams: [],
  webhookUrl: "https://worker.example/hook",
  wakeStream: undefined,
  leaseMillis: 30_000,
  description: undefined,
  ...more
})

export const pullConfig = (more: Partial<Config>): Config =>
  webhookConfig({ type: "pull-wake", webhookUrl: undefined, wakeStream: "wake", ...more })

export const append = Effect.fnUntraced(function*(name: string, ...values: ReadonlyArray<unknown>) {
  const manager = yield* StreamManager
  return yield* manager.append(name as StreamName, { data: values.map(EventData.fromValue) })
})

/** Waits for the system, not for a clock, until this is so. */
export const eventually = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => isSo() ? Effect.void : Effect.andThen(turn, eventually(isSo)))

/** Runs everything that can run without the clock. */
export const settled = Effect.suspend(() => Effect.repeat(turn, { times: 50 }))

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** The visible state of a subscription. */
export const cursors = (id: string) =>
  Effect.map(
    Effect.flatMap(Subscriptions, (subscriptions) => subscriptions.get(id)),
    ({ links }) => Object.fromEntries([...links].map(([path, { acked }]) => [path, acked]))
  )

/** The data of every event of a stream. */
export const eventsOf = Effect.fnUntraced(function*(name: string) {
  const manager = yield* StreamManager
  const stream = yield* manager.get(name as StreamName)
  const events = yield* stream.read(yield* stream.cursor("beginning"))
  return Array.from({ length: events.count }, (_, i) => parseEvent(events, i).data)
}, Effect.scoped)
