/**
 * The bodies of all requests may take only so much memory together (docs/decisions/0010-limits.md).
 */
import { assert, layer } from "@effect/vitest"
import { freshName } from "../support/names.ts"
import { append, layerServer, talk } from "../support/served.ts"
import { exchange, json, request, Wire } from "../support/wire.ts"

const megabyte = 1024 * 1024
const event = (bytes: number) => `{"data":"${"x".repeat(bytes - 11)}"}`

/** Sends all of a body of a megabyte but its last bytes. */
const unfinished = async (port: number): Promise<Wire> => {
  const whole = request("POST", "/streams/never", json, event(megabyte))
  const wire = await Wire.open(port)
  await new Promise<void>((resolve) => wire.socket.write(whole.subarray(0, -576), () => resolve()))
  return wire
}

layer(layerServer({ bodiesBytesMax: 4 * megabyte }), { excludeTestServices: true })("bodies", (it) => {
  it.effect("that together would exceed their memory limit have the longest of them refused, and the others go on", () =>
    talk(async (port) => {
      const wires: Array<Wire> = []
      for (let i = 0; i < 8; i++) wires.push(await unfinished(port))
      for (const wire of wires.slice(0, 4)) {
        const { body, headers, status } = await wire.reply()
        assert.strictEqual(status, 503)
        assert.strictEqual(headers["retry-after"], "1")
        assert.strictEqual(headers["connection"], "close")
        const problem = JSON.parse(body.toString()) as Readonly<Record<string, unknown>>
        assert.strictEqual(problem["limit"], 4 * megabyte)
        assert.include(problem["detail"], "--max-bodies")
      }
      // Small bodies are never refused, and neither is a large one that comes quickly.
      const name = freshName()
      await append(port, name, "1")
      for (let i = 0; i < 8; i++) {
        const { status } = await exchange(port, request("POST", `/streams/${name}`, json, event(megabyte)))
        assert.strictEqual(status, 201)
      }
      for (const wire of wires) wire.close()
    }))

  it.effect("that were answered, refused or cut off free their part of it", () =>
    talk(async (port) => {
      const name = freshName()
      for (let i = 0; i < 12; i++) {
        const large = request("POST", `/streams/${name}`, json, event(megabyte))
        assert.strictEqual((await exchange(port, large)).status, 201)
        assert.strictEqual(
          (await exchange(port, request("POST", `/streams/${name}`, json, event(megabyte + 1)))).status,
          413
        )
        assert.strictEqual(
          (await exchange(port, request("POST", `/streams/${name}`, json, "x".repeat(megabyte)))).status,
          400
        )
        const wire = await unfinished(port)
        wire.close()
      }
      // There is room for three beside the one that is whole.
      const wires = [await unfinished(port), await unfinished(port), await unfinished(port)]
      const { status } = await exchange(port, request("POST", `/streams/${name}`, json, event(megabyte - 10_000)))
      assert.strictEqual(status, 201)
      for (const wire of wires) wire.send(Buffer.alloc(576, "x"))
      for (const wire of wires) assert.strictEqual((await wire.reply()).status, 400)
    }))
})
