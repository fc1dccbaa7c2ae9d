/**
 * Who may call a webhook now. So many calls are under way at once, and to one receiver a quarter of them at most: receivers
 * that accept and say nothing keep neither the others from being called nor the server from its descriptors. All others
 * wait, and go in the order in which they came, past those whose receiver has its share.
 */
import { Context, Effect } from "effect"

/**
 * Calls of webhooks at once; a server gives as many as it has descriptors for. Each holds a connection for as long as ten
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

/** What is under way to one receiver or may go next, and who waits until that is less. */
interface Receiver {
  busy: number
  readonly waiting: Array<Caller>
}

export class WebhookQueue {
  readonly #most: number
  readonly #mostOfOne: number
  readonly #receivers = new Map<string, Receiver>()
  /** Those that wait for nothing but a free call, by their numbers. */
  readonly #next: Array<Caller> = []
  #calls = 0
  #number = 0

  constructor(most: number) {
    this.#most = Math.max(1, most)
    this.#mostOfOne = Math.max(1, Math.floor(most / 4))
  }

  /** Makes the call when it is its turn; `waits` is called first if that is not now. */
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

  /** Whether it may go now. */
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

  /** Begins calls while there are free ones; answers whether this one is among them. */
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

  /** It waits no longer. */
  #leave(caller: Caller): void {
    if (remove(this.#next, caller)) this.#free(caller.receiver)
    else remove(this.#receivers.get(caller.receiver)?.waiting ?? [], caller)
  }

  #end(receiver: string): void {
    this.#calls--
    this.#free(receiver)
  }

  /** The receiver has one less: the first that waits for it takes its place among all others. */
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
