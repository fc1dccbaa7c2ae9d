/**
 * What an attacker has: sockets that send much and read nothing, or just as much as shows that all was answered.
 */
import * as net from "node:net"
import type { StartOptions } from "../../support/server-process.ts"
import { json, request } from "../../support/wire.ts"

/** The least that costs the most, at one route. */
export interface Attack {
  readonly name: string
  readonly route: string
  /** The server it is tried on, where that is not one as it comes. */
  readonly start?: StartOptions
  /** Descriptors that it may leave open while its streams are awake, besides one for each of them. */
  readonly files?: number
  /** What has to be there before, made by whoever may. */
  readonly prepare?: (stage: Stage) => Promise<void>
  readonly run: (stage: Stage) => Promise<void>
  /** What must be so while it lasts, a sentence for each thing that is not. */
  readonly check?: (stage: Stage) => Promise<ReadonlyArray<string>>
}

/** An answer to all that was asked is not waited for any longer. */
const answeredMillis = 20_000

export class Stage {
  readonly port: number
  readonly brief: boolean
  /** Bytes that the attacker sent. */
  sent = 0
  readonly #sockets = new Set<net.Socket>()
  readonly #finals: Array<() => void> = []

  constructor(port: number, brief: boolean) {
    this.port = port
    this.brief = brief
  }

  /** So many in a full run, so many in a short one. */
  scaled(full: number, brief: number): number {
    return this.brief ? brief : full
  }

  /** What is to be done when the attack is over. */
  finally(final: () => void): void {
    this.#finals.push(final)
  }

  /** A connection on which nothing is read. */
  open(): Promise<net.Socket> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port: this.port, host: "127.0.0.1", noDelay: true })
      this.#sockets.add(socket)
      socket.once("error", reject)
      socket.on("error", () => {})
      socket.on("close", () => this.#sockets.delete(socket))
      socket.once("connect", () => {
        socket.off("error", reject)
        resolve(socket)
      })
    })
  }

  async openAll(count: number): Promise<ReadonlyArray<net.Socket>> {
    const all: Array<net.Socket> = []
    // As many as wait to be accepted are refused by nobody.
    while (all.length < count) {
      all.push(...await Promise.all(Array.from({ length: Math.min(100, count - all.length) }, () => this.open())))
    }
    return all
  }

  send(socket: net.Socket, bytes: string | Uint8Array): void {
    this.sent += Buffer.byteLength(bytes)
    if (!socket.destroyed) socket.write(bytes)
  }

  /** The same again and again in one write, on so many connections that read nothing, which stay. */
  async unread(connections: number, times: number, bytes: Uint8Array): Promise<void> {
    const all = repeated(bytes, times)
    for (const socket of await this.openAll(connections)) this.send(socket, all)
  }

  /** Requests one behind the other on one connection, and how many were answered before it ended or fell silent. */
  async answered(requests: ReadonlyArray<Uint8Array>): Promise<number> {
    const socket = await this.open()
    let count = 0
    let rest = ""
    const all = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, answeredMillis)
      socket.on("close", () => {
        clearTimeout(timer)
        resolve()
      })
      socket.on("data", (bytes: Buffer) => {
        const parts = (rest + bytes.toString("latin1")).split("HTTP/1.1 ")
        count += parts.length - 1
        rest = parts.at(-1)!.slice(-"HTTP/1.1".length)
        if (count < requests.length) return
        clearTimeout(timer)
        resolve()
      })
    })
    this.send(socket, Buffer.concat(requests))
    await all
    socket.destroy()
    return count
  }

  /** The same requests on so many connections, each of which reads what it is answered. */
  async read(connections: number, times: number, bytes: Uint8Array): Promise<void> {
    const requests = Array.from({ length: times }, () => bytes)
    await Promise.all(Array.from({ length: connections }, () => this.answered(requests)))
  }

  /** Leaves without a word. */
  leave(): void {
    for (const socket of this.#sockets) socket.destroy()
    for (const final of this.#finals.splice(0)) final()
  }
}

export const repeated = (bytes: Uint8Array, times: number): Buffer =>
  Buffer.concat(Array.from({ length: times }, () => bytes))

export const get = (target: string, headers: Readonly<Record<string, string>> = {}) => request("GET", target, headers)

export const ndjson = { "Content-Type": "application/x-ndjson" }

export const post = (target: string, body: string | Uint8Array, headers: Readonly<Record<string, string>> = json) =>
  request("POST", target, headers, body)

export const put = (target: string, headers: Readonly<Record<string, string>> = json, body: string | Uint8Array = "") =>
  request("PUT", target, headers, body)

/** Makes what an attack is about: all is answered before anything is measured. */
export const prepared = async (stage: Stage, requests: ReadonlyArray<Uint8Array>): Promise<void> => {
  // The first one alone, for the others may be about it; and not all at once: what is prepared is no attack.
  for (let from = 0, to = 1; from < requests.length; from = to, to += 50) {
    const some = requests.slice(from, to)
    const count = await stage.answered(some)
    if (count < some.length) throw new Error(`Only ${from + count} of ${requests.length} were answered.`)
  }
}

/** Four events of 900,000 bytes. */
export const prepareBig = async (stage: Stage): Promise<void> => {
  await prepared(stage, [
    put("/v1/stream/big"),
    ...Array.from({ length: 4 }, (_, i) => post("/v1/stream/big", `["${String(i).repeat(900_000)}"]`))
  ])
}
