/**
 * The delivery of a wake: a call of the webhook, or an event on the wake stream for the workers. It returns the transition
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
import { recordDelivery, recordFailure, recordLaterWake } from "../machine/wake-cycle.ts"
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
    return recordDelivery(wake.id, processed)
  })

  const writeEvent = Effect.fnUntraced(function*(wakeStream: string, { isNew, subscription, wake }: Delivery) {
    const event = wakeEvent(subscription, wake.stream, yield* Clock.currentTimeMillis)
    const { generation } = subscription
    const written = yield* manager.append(wakeStream as StreamName, {
      data: [EventData.fromValue(event)],
      contentType: jsonType,
      mustExist: true,
      // As a numbered append it is written once for each wake, however often it is tried.
      producer: { id: `__ds/subscriptions/${subscription.life}`, epoch: generation, seq: 0 }
    }).pipe(
      Effect.map(({ producer }) => producer),
      Effect.catchTag(
        "ProducerFenced",
        (fenced) =>
          fenced.epoch < generationMax ? Effect.succeed({ epoch: fenced.epoch, repeated: true }) : Effect.fail(fenced)
      )
    )
    // At its first delivery, a wake cannot be in the stream yet.
    return written?.repeated === true && (isNew || written.epoch > generation)
      ? recordLaterWake(wake.id, written.epoch)
      : recordDelivery(wake.id, undefined)
  })

  return (delivery: Delivery): Effect.Effect<Act<void>> => {
    const { subscription: { config, id }, wake } = delivery
    const { wakeStream, webhookUrl } = config
    const delivering: Effect.Effect<Act<void>, { readonly message: string }> = webhookUrl === undefined
      ? writeEvent(wakeStream ?? "", delivery)
      : callWebhook(webhookUrl, delivery)
    return delivering.pipe(
      Effect.catch((error) => Effect.as(Effect.logWarning(`${noDelivery}: ${error.message}`), recordFailure(wake.id))),
      // A wake is tried again after every failure, a defect of the server included.
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.as(Effect.logError(noDelivery, cause), recordFailure(wake.id))
      ),
      Effect.annotateLogs({ subscription: id, wake: wake.id })
    )
  }
}

/** The greatest generation that every client holds exactly. */
const generationMax = Number.MAX_SAFE_INTEGER - 1

const noDelivery = "Nobody could be told of a wake"

/** Whether the webhook's answer is `{"done":true}`; after any other answer it calls back. */
const isDone = (answer: string): boolean => Option.isSome(decodeDone(answer))

const decodeDone = Schema.decodeOption(Schema.fromJsonString(Schema.Struct({ done: Schema.Literal(true) })))
