/**
 * Telling somebody of a wake: the webhook by a call, workers by an event on the wake stream. The answer is the transition
 * that follows.
 */
import { Cause, Clock, Effect, Option, Schema } from "effect"
import type { StreamName } from "../../domain/types.ts"
import { jsonType } from "../../domain/types.ts"
import { EventData } from "../../event/event-data.ts"
import type { StreamManager } from "../../manager/stream-manager.ts"
import type { Subscription, Wake } from "../machine/subscription.ts"
import { subjectOf } from "../machine/subscription.ts"
import type { StreamStatus } from "../machine/transitions.ts"
import type { Act } from "../machine/wake-cycle.ts"
import { delivered, failed, outpaced } from "../machine/wake-cycle.ts"
import type { Keys } from "../webhook/keys.ts"
import type { WebhookSender } from "../webhook/webhook-sender.ts"
import { wakeBody, wakeEvent } from "./wake-messages.ts"

/** A wake to deliver. */
export interface Delivery {
  readonly subscription: Subscription
  readonly wake: Wake
  /** Whether this is the first delivery of the wake. */
  readonly isNew: boolean
  /** The streams that the webhook is shown. */
  readonly streams: ReadonlyArray<StreamStatus>
  /** The server's address as the maker of the subscription reached it. */
  readonly base: string
}

export const makeWakeDelivery = (
  manager: StreamManager["Service"],
  keys: Keys["Service"],
  sender: WebhookSender["Service"]
) => {
  const callWebhook = Effect.fnUntraced(function*(url: string, { base, streams, subscription, wake }: Delivery) {
    const token = yield* keys.mint(subjectOf(subscription), subscription.generation)
    const body = JSON.stringify(wakeBody(subscription, wake.id, streams, base, token))
    const answer = yield* sender.post(url, body, { "webhook-signature": yield* keys.signature(body) })
    const processed = isDone(answer) ? new Map(streams.map(({ link, path }) => [path, link.tail])) : undefined
    return delivered(wake.id, processed)
  })

  const writeEvent = Effect.fnUntraced(function*(wakeStream: string, { isNew, subscription, wake }: Delivery) {
    const event = wakeEvent(subscription, wake.stream, yield* Clock.currentTimeMillis)
    const { generation } = subscription
    const written = yield* manager.append(wakeStream as StreamName, {
      data: [EventData.fromValue(event)],
      contentType: jsonType,
      mustExist: true,
      // Written once for each wake, however often a crash or a failure makes us try.
      producer: { id: `__ds/subscriptions/${subscription.life}`, epoch: generation, seq: 0 }
    }).pipe(
      Effect.map(({ producer }) => producer),
      Effect.catchTag(
        "ProducerFenced",
        (fenced) =>
          fenced.epoch < generationMax ? Effect.succeed({ epoch: fenced.epoch, repeated: true }) : Effect.fail(fenced)
      )
    )
    // A wake that is told for the first time is not there yet.
    return written?.repeated === true && (isNew || written.epoch > generation)
      ? outpaced(wake.id, written.epoch)
      : delivered(wake.id, undefined)
  })

  return (delivery: Delivery): Effect.Effect<Act<void>> => {
    const { subscription: { config, id }, wake } = delivery
    const { wakeStream, webhookUrl } = config
    const told: Effect.Effect<Act<void>, { readonly message: string }> = webhookUrl === undefined
      ? writeEvent(wakeStream ?? "", delivery)
      : callWebhook(webhookUrl, delivery)
    return told.pipe(
      Effect.catch((error) => Effect.as(Effect.logWarning(`${noDelivery}: ${error.message}`), failed(wake.id))),
      // A wake is tried again whatever went wrong, our own mistakes included.
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.as(Effect.logError(noDelivery, cause), failed(wake.id))
      ),
      Effect.annotateLogs({ subscription: id, wake: wake.id })
    )
  }
}

/** Beyond this there is no generation that every client holds exactly. */
const generationMax = Number.MAX_SAFE_INTEGER - 1

const noDelivery = "Nobody could be told of a wake"

/** Whether the webhook's answer is `{"done":true}`; anything else means that it calls back. */
const isDone = (answer: string): boolean => Option.isSome(decodeDone(answer))

const decodeDone = Schema.decodeOption(Schema.fromJsonString(Schema.Struct({ done: Schema.Literal(true) })))
