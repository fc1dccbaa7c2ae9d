/**
 * The queue for calls of webhooks. It limits the calls at once, and those to one receiver to a quarter of that: receivers
 * that accept a connection and say nothing block neither the calls of others nor all descriptors of the server. Callers
 * wait in the order in which they came, and pass those whose receiver has its share.
 */
import { Context, Effect } from "effect"

/**
 * Calls of webhooks at once; the server derives it from its descriptors. Each call holds a connection for as long as ten
 * seconds, and a receiver that answers in a tenth of a second is called 160 times a second.
 */
export const WebhookCallsMax = Context.Reference<number>(
  "durable-streams/subscriptions/running/webhook-queue/WebhookCallsMax",
  {
    defaultValue: () => 64
  }
)

interface Caller {
  readonly number: number
  readonly receiver: string
  isGoing: boolean
  go: () => void
}

/** The calls to one receiver that run or may run next, and the callers that wait for one of them to end. */
interface Receiver {
  busy: number
  readonly waiting: Array<Caller>
}

export class WebhookQueue {
  readonly #most: number
  readonly #mostOfOne: number
  readonly #receivers = new Map<string, Receiver>()
  /** The callers that wait for nothing but a free call, by their numbers. */
  readonly #next: Array<Caller> = []
  #calls = 0
  #number = 0

  constructor(most: number) {
    this.#most = Math.max(1, most)
    this.#mostOfOne = Math.max(1, Math.floor(most / 4))
  }

  /** Makes the call when it is its turn; if that is not now, it calls `waits` first. */
  take<A>(receiver: string, waits: () => void, call: Effect.Effect<A>): Effect.Effect<A> {
    return Effect.suspend(() => {
      const caller: Caller = { number: this.#number++, receiver, isGoing: false, go: () => {} }
      const turn = Effect.callback<void>((resume) => {
        caller.go = () => resume(Effect.void)
        if (!this.#enter(caller)) waits()
      })
      return Effect.ensuring(
        Effect.andThen(turn, call),
        Effect.sync(() => caller.isGoing ? this.#end(receiver) : this.#leave(caller))
      )
    })
  }

  /** Adds a caller; returns whether it may call now. */
  #enter(caller: Caller): boolean {
    const { receiver } = caller
    const known = this.#receivers.get(receiver) ?? { busy: 0, waiting: [] }
    this.#receivers.set(receiver, known)
    if (known.busy >= this.#mostOfOne) {
      known.waiting.push(caller)
      return false
    }
    known.busy++
    this.#next.push(caller)
    return this.#goOn(caller)
  }

  /** Begins calls while there are free ones; returns whether this one is among them. */
  #goOn(caller?: Caller): boolean {
    let isAmong = false
    while (this.#calls < this.#most && this.#next.length > 0) {
      const first = this.#next.shift()!
      this.#calls++
      isAmong ||= first === caller
      first.isGoing = true
      first.go()
    }
    return isAmong
  }

  /** Removes a caller that waits no longer. */
  #leave(caller: Caller): void {
    if (remove(this.#next, caller)) this.#free(caller.receiver)
    else remove(this.#receivers.get(caller.receiver)?.waiting ?? [], caller)
  }

  #end(receiver: string): void {
    this.#calls--
    this.#free(receiver)
  }

  /** Ends one call to the receiver: the first caller that waits for it takes its place among all others. */
  #free(receiver: string): void {
    const known = this.#receivers.get(receiver)!
    const first = known.waiting.shift()
    if (first !== undefined) insert(this.#next, first)
    else if (--known.busy === 0) this.#receivers.delete(receiver)
    this.#goOn()
  }
}

const remove = (callers: Array<Caller>, caller: Caller): boolean => {
  const at = callers.indexOf(caller)
  if (at >= 0) callers.splice(at, 1)
  return at >= 0
}

const insert = (callers: Array<Caller>, caller: Caller): void => {
  const at = callers.findLastIndex(({ number }) => number < caller.number)
  callers.splice(at + 1, 0, caller)
}
