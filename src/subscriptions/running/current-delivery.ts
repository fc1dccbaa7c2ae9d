/**
 * The delivery of a subscription's current wake: one at a time, each in place of the one before. A webhook may have to wait
 * in the queue. While it waits, its lease does not run; when its turn comes, it is shown the streams as they are then.
 */
import { Effect, type Fiber, Result } from "effect"
import type { Wake } from "../machine/subscription.ts"
import { listShown, type StreamStatus } from "../machine/transitions.ts"
import type { Act } from "../machine/wake-cycle.ts"
import { onlyNews, recordFailure } from "../machine/wake-cycle.ts"
import type { Delivery } from "./wake-delivery.ts"
import type { WebhookQueue } from "./webhook-queue.ts"

/** The parts that the deliveries of all subscriptions share. */
export interface DeliveryTools {
  readonly webhooks: WebhookQueue
  /** Starts a fiber that ends with the server at the latest. */
  readonly fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>
  /** Calls the webhook, or writes the wake event; returns the transition that follows. */
  readonly deliver: (delivery: Delivery) => Effect.Effect<Act<void>>
}

/** The subscription that a delivery is for. */
export interface Recipient {
  /** Makes a transition when it is its turn. */
  readonly run: <A>(act: Act<A>) => Effect.Effect<A, unknown>
  /** Keeps the transition that follows the delivery for the next commit. */
  readonly addResult: (result: Act<void>) => void
}

export class CurrentDelivery {
  readonly #tools: DeliveryTools
  readonly #recipient: Recipient
  #fiber: Fiber.Fiber<unknown> | undefined
  #queuedWake: string | undefined

  constructor(tools: DeliveryTools, recipient: Recipient) {
    this.#tools = tools
    this.#recipient = recipient
  }

  /** The id of the wake whose webhook waits in the queue. */
  get queuedWake(): string | undefined {
    return this.#queuedWake
  }

  isQueued(wake: Wake | undefined): boolean {
    return wake !== undefined && this.#queuedWake === wake.id && !wake.delivered
  }

  /** Begins this delivery and ends the one before. */
  start(delivery: Delivery): void {
    const { deliver, fork, webhooks } = this.#tools
    const { subscription: { config: { webhookUrl } }, wake } = delivery
    this.stop()
    this.#queuedWake = undefined
    const delivering = webhookUrl === undefined
      ? deliver(delivery)
      : webhooks.take(
        URL.parse(webhookUrl)?.origin ?? webhookUrl,
        () => void (this.#queuedWake = wake.id),
        Effect.suspend(() => this.#queuedWake === undefined ? deliver(delivery) : this.#callAfterQueue(delivery))
      )
    // The transition has a fiber of its own: it may start the next delivery, which ends this one.
    this.#fiber = fork(
      Effect.map(Effect.andThen(Effect.yieldNow, delivering), (result) => this.#recipient.addResult(result))
    )
  }

  stop(): void {
    this.#fiber?.interruptUnsafe()
  }

  /** Begins the lease now, and shows the webhook the streams as they are now. */
  #callAfterQueue(delivery: Delivery): Effect.Effect<Act<void>> {
    const { wake } = delivery
    const beginLease: Act<ReadonlyArray<StreamStatus> | undefined> = (draft) => {
      this.#queuedWake = undefined
      // A receiver that was called before may have called back meanwhile.
      if (draft.wake?.id !== wake.id || draft.wake.delivered) return Result.succeed(undefined)
      draft.holdLease(undefined)
      return Result.succeed(listShown(draft))
    }
    return Effect.matchEffect(this.#recipient.run(beginLease), {
      onSuccess: (streams) =>
        streams === undefined ? Effect.succeed(onlyNews) : this.#tools.deliver({ ...delivery, streams }),
      onFailure: () => Effect.succeed(recordFailure(wake.id))
    })
  }
}
