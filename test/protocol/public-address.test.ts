/**
 * The address of a stream for other machines: `DURABLE_STREAMS_PUBLIC_URL` gives it, whatever address a request came
 * to.
 */
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Layer } from "effect"
import { layerServer, talk } from "../support/served.ts"
import { exchange, json, request } from "../support/wire.ts"

const told = ConfigProvider.layer(
  ConfigProvider.fromUnknown({ DURABLE_STREAMS: { PUBLIC_URL: "https://streams.example.com/logs/" } })
)
layer(Layer.provide(layerServer(), told), { excludeTestServices: true })(
  "a server that knows its public address",
  (it) => {
    it.effect("gives it as the Location of a new stream", () =>
      talk(async (port) => {
        const { headers, status } = await exchange(port, request("PUT", "/v1/stream/a%2Fb", json))
        assert.strictEqual(status, 201)
        assert.strictEqual(headers["location"], "https://streams.example.com/logs/v1/stream/a%2Fb")
      }))

    it.effect("Promise 12: answers to its public name, and lets pages of that name in and no others", () =>
      talk(async (port) => {
        const status = async (headers: Readonly<Record<string, string>>) =>
          (await exchange(port, request("GET", "/health", headers))).status
        assert.strictEqual(await status({ Host: "streams.example.com" }), 200)
        assert.strictEqual(await status({ Host: "localhost", Origin: "https://streams.example.com" }), 200)
        assert.strictEqual(await status({ Host: "other.example.com" }), 403)
        assert.strictEqual(await status({ Host: "localhost", Origin: "https://other.example.com" }), 403)
      }))
  }
)

layer(layerServer({ allowHosts: ["streams.example.com"] }), { excludeTestServices: true })(
  "a server without a public address",
  (it) => {
    it.effect("gives the address that the request came to", () =>
      talk(async (port) => {
        for (const host of ["localhost:1", "127.0.0.1", "streams.example.com"]) {
          const { headers } = await exchange(port, request("PUT", `/v1/stream/${host}`, { ...json, Host: host }))
          assert.strictEqual(headers["location"], `http://${host}/v1/stream/${host}`)
        }
        const { headers } = await exchange(port, "PUT /v1/stream/old HTTP/1.0\r\nContent-Type: text/plain\r\n\r\n")
        assert.strictEqual(headers["location"], "/v1/stream/old")
      }))
  }
)
