/**
 * Commands for a server and the model at once: each command is sent, and its answer compared with the model's.
 */
import { assert } from "vitest"
import { until } from "../support/room.ts"
import { Model, ModelStream, type Origin, originAt, type Unit } from "../support/stream-model.ts"
import type { Append, Command, Create, Fork, Payload, Produce } from "./model-histories.ts"

export class World {
  readonly #model = new Model()
  readonly #url: (name: string) => string
  readonly #prefix: string
  readonly #crash: () => Promise<void>
  /** Places whose stream was kept for a fork that no longer exists. */
  readonly #leaving = new Set<number>()
  /** The requests that were sent, each with its answer. */
  readonly #told: Array<string> = []

  constructor(prefix: string, url: (name: string) => string, crash: () => Promise<void>) {
    this.#prefix = prefix
    this.#url = url
    this.#crash = crash
  }

  /** Runs all commands, and then reads every stream that exists. */
  async run(commands: ReadonlyArray<Command>): Promise<void> {
    try {
      for (const command of commands) {
        // A crash may come before the server has removed a stream that only a fork had kept.
        if (command.do !== "crash") await this.#tidy()
        await this.#do(command)
      }
      for (const slot of this.#model.slots) await this.#read(slot, 0)
      await this.#tidy()
    } catch (cause) {
      throw new Error(`${String(cause)}, after\n${this.#told.join("\n")}\n`, { cause })
    }
  }

  #do(command: Command): Promise<void> {
    switch (command.do) {
      case "create":
        return this.#create(command)
      case "append":
        return this.#append(command)
      case "produce":
        return this.#produce(command)
      case "fork":
        return this.#fork(command)
      case "read":
        return this.#read(command.slot, command.at)
      case "close":
        return this.#close(command.slot)
      case "delete":
        return this.#delete(command.slot)
      case "head":
        return this.#head(command.slot)
      case "crash":
        this.#told.push("kill -9")
        return this.#crash()
    }
  }

  async #create({ closed, first, json: isJson, slot }: Create): Promise<void> {
    const answer = await this.#send(slot, "PUT", {
      "content-type": typeOf(isJson),
      ...(closed ? { "stream-closed": "true" } : {})
    }, first === undefined ? undefined : bodyOf(isJson, first))
    const there = this.#model.at(slot)
    if (there === undefined) {
      assert.strictEqual(answer.status, 201)
      const made = ModelStream.made(isJson, closed, first === undefined ? [] : unitsOf(isJson, first))
      this.#model.put(slot, made)
      return this.#learnTail(made, answer)
    }
    const isSame = !there.hidden && there.origin === undefined && there.isJson === isJson && there.closed === closed
    assert.strictEqual(answer.status, isSame ? 200 : 409)
    if (isSame) this.#learnTail(there, answer)
  }

  async #append({ close, payload, slot }: Append): Promise<void> {
    const stream = this.#model.at(slot)
    const isJson = stream?.isJson ?? true
    const answer = await this.#send(slot, "POST", {
      "content-type": typeOf(isJson),
      ...(close ? { "stream-closed": "true" } : {})
    }, bodyOf(isJson, payload))
    if (this.#isAway(stream, answer)) return
    if (stream.closed) return this.#assertClosed(stream, answer)
    assert.strictEqual(answer.status, 204)
    stream.append(unitsOf(isJson, payload))
    if (close) stream.closed = true
    this.#learnTail(stream, answer)
  }

  async #produce({ epoch: epochStep, id, payload, seq: seqStep, slot }: Produce): Promise<void> {
    const stream = this.#model.at(slot)
    const isJson = stream?.isJson ?? true
    const state = stream?.producers.get(id) ?? { epoch: 0, seq: -1 }
    const epoch = Math.max(0, state.epoch + epochStep)
    // Most new epochs begin with number 0, as they should.
    const seq = epochStep > 0 && seqStep > 0 ? seqStep - 1 : Math.max(0, state.seq + seqStep)
    const answer = await this.#send(slot, "POST", {
      "content-type": typeOf(isJson),
      "producer-id": id,
      "producer-epoch": String(epoch),
      "producer-seq": String(seq)
    }, bodyOf(isJson, payload))
    if (this.#isAway(stream, answer)) return
    if (stream.closed) return this.#assertClosed(stream, answer)
    const expected = stream.judge(id, epoch, seq)
    assert.strictEqual(answer.status, expected)
    const header = (name: string) => Number(answer.headers.get(name) ?? "NaN")
    if (expected === 200) {
      stream.producers.set(id, { epoch, seq })
      stream.append(unitsOf(isJson, payload))
      this.#learnTail(stream, answer)
    }
    const now = stream.producers.get(id)
    if (expected === 200 || expected === 204) {
      assert.deepStrictEqual([header("producer-epoch"), header("producer-seq")], [now!.epoch, now!.seq])
    }
    if (expected === 403) assert.strictEqual(header("producer-epoch"), now!.epoch)
    if (expected === 409) {
      const wanted = [(now?.seq ?? -1) + 1, seq]
      assert.deepStrictEqual([header("producer-expected-seq"), header("producer-received-seq")], wanted)
    }
  }

  async #fork({ at, slot, sub: wish, target, tooFar, typed }: Fork): Promise<void> {
    const source = this.#model.at(slot)
    const there = this.#model.at(target)
    const token = source === undefined ? undefined : pick([undefined, ...source.tokens], at)
    const position = source?.positionOf(token) ?? 0
    const sub = source === undefined
      ? 0
      : tooFar
      ? source.units.length - position + 1
      : wish % (source.roomAt(position) + 1)
    const answer = await this.#send(target, "PUT", {
      ...(typed && source !== undefined ? { "content-type": typeOf(source.isJson) } : {}),
      "stream-forked-from": new URL(this.#urlOf(slot)).pathname,
      ...(token === undefined ? {} : { "stream-fork-offset": token }),
      ...(sub === 0 ? {} : { "stream-fork-sub-offset": String(sub) })
    })
    const complaints = [
      ...(source === undefined ? [404] : source.hidden ? [409] : []),
      ...(tooFar ? [400] : []),
      ...(there === undefined ? [] : [409])
    ]
    const origin = source === undefined ? undefined : originAt(source, token, sub)
    if (origin === undefined || complaints.length > 0) {
      const alike = origin === undefined || tooFar ? "no" : likeness(there, origin)
      if (alike === "yes") assert.strictEqual(answer.status, 200)
      else assert.include(alike === "maybe" ? [...complaints, 200] : complaints, answer.status)
      if (answer.status === 200) this.#learnTail(there!, answer)
      return
    }
    assert.strictEqual(answer.status, 201)
    const fork = ModelStream.forked(origin)
    this.#model.put(target, fork)
    this.#learnTail(fork, answer)
  }

  /** Reads from an offset to the end, in as many answers as the server makes of it. */
  async #read(slot: number, at: number): Promise<void> {
    const stream = this.#model.at(slot)
    let token = stream === undefined ? "-1" : pick(["-1", ...stream.tokens], at)
    for (;;) {
      const answer = await this.#send(slot, "GET", {}, undefined, `?offset=${encodeURIComponent(token)}`)
      if (this.#isAway(stream, answer)) return
      assert.strictEqual(answer.status, 200)
      const from = stream.positionOf(token)
      const got = stream.isJson
        ? (JSON.parse(Buffer.from(answer.body).toString()) as Array<unknown>).map((value) => JSON.stringify(value))
        : [...answer.body]
      assert.deepStrictEqual(got, stream.units.slice(from, from + got.length))
      token = answer.headers.get("stream-next-offset")!
      stream.learn(token, from + got.length)
      const isEnd = answer.headers.get("stream-up-to-date") === "true"
      assert.strictEqual(answer.headers.get("stream-closed") === "true", isEnd && stream.closed)
      assert.isTrue(isEnd || got.length > 0)
      if (isEnd) return assert.strictEqual(from + got.length, stream.units.length)
    }
  }

  async #close(slot: number): Promise<void> {
    const stream = this.#model.at(slot)
    const answer = await this.#send(slot, "POST", { "stream-closed": "true" })
    if (this.#isAway(stream, answer)) return
    assert.strictEqual(answer.status, 204)
    stream.closed = true
    assert.strictEqual(answer.headers.get("stream-closed"), "true")
    this.#learnTail(stream, answer)
  }

  async #delete(slot: number): Promise<void> {
    const stream = this.#model.at(slot)
    const answer = await this.#send(slot, "DELETE", {})
    if (this.#isAway(stream, answer)) return
    assert.strictEqual(answer.status, 204)
    for (const gone of this.#model.delete(slot)) if (gone !== slot) this.#leaving.add(gone)
  }

  /** Sources go soon after their last fork has gone (PROTOCOL 4.2). */
  async #tidy(): Promise<void> {
    for (const slot of this.#leaving) {
      await until(
        async () => (await this.#send(slot, "HEAD", {})).status === 404,
        () => `the end of ${this.#urlOf(slot)}`
      )
    }
    this.#leaving.clear()
  }

  async #head(slot: number): Promise<void> {
    const stream = this.#model.at(slot)
    const answer = await this.#send(slot, "HEAD", {})
    if (this.#isAway(stream, answer)) return
    assert.strictEqual(answer.status, 200)
    assert.strictEqual(answer.headers.get("content-type"), typeOf(stream.isJson))
    assert.strictEqual(answer.headers.get("stream-closed") === "true", stream.closed)
    this.#learnTail(stream, answer)
  }

  /** Whether there is no stream to speak to; the answer has to say so. */
  #isAway(stream: ModelStream | undefined, { status }: Answer): stream is undefined {
    if (stream !== undefined && !stream.hidden) return false
    assert.strictEqual(status, stream === undefined ? 404 : 410)
    return true
  }

  #assertClosed(stream: ModelStream, answer: Answer): void {
    assert.strictEqual(answer.status, 409)
    assert.strictEqual(answer.headers.get("stream-closed"), "true")
    this.#learnTail(stream, answer)
  }

  #learnTail(stream: ModelStream, answer: Answer): void {
    stream.learn(answer.headers.get("stream-next-offset")!, stream.units.length)
  }

  #urlOf(slot: number): string {
    return this.#url(`${this.#prefix}/${slot}`)
  }

  async #send(
    slot: number,
    method: string,
    headers: Readonly<Record<string, string>>,
    body?: string | Uint8Array,
    query = ""
  ): Promise<Answer> {
    const answer = await fetch(`${this.#urlOf(slot)}${query}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: new Uint8Array(Buffer.from(body)) })
    })
    const { "content-type": _, ...told } = headers
    const size = body === undefined ? "" : ` with ${body.length}`
    this.#told.push(`${method} ${slot}${query} ${JSON.stringify(told)}${size}: ${answer.status}`)
    return { status: answer.status, headers: answer.headers, body: new Uint8Array(await answer.arrayBuffer()) }
  }
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array
}

const typeOf = (isJson: boolean): string => isJson ? "application/json" : "application/octet-stream"

const bodyOf = (isJson: boolean, { bytes, values }: Payload): string | Uint8Array =>
  isJson ? JSON.stringify(values) : bytes

const unitsOf = (isJson: boolean, { bytes, values }: Payload): ReadonlyArray<Unit> =>
  isJson ? values.map((value) => JSON.stringify(value)) : [...bytes]

const pick = <A>(values: ReadonlyArray<A>, n: number): A => values[n % values.length]!

/**
 * Whether a stream is the fork that is asked for. The protocol leaves three cases open, and a server may take them for
 * the same or not: another way to name the same place; a fork from the tail, which may have moved; a source that is
 * gone.
 */
const likeness = (there: ModelStream | undefined, wanted: Origin): "yes" | "no" | "maybe" => {
  const origin = there?.origin
  if (there === undefined || origin === undefined || there.hidden || there.closed || origin.source !== wanted.source) {
    return "no"
  }
  if (origin.anchor === wanted.anchor && origin.sub === wanted.sub) return wanted.source.hidden ? "maybe" : "yes"
  return wanted.isTail || origin.anchor + origin.sub === wanted.anchor + wanted.sub ? "maybe" : "no"
}
