/**
 * The addresses that webhooks may have, and those that they may not (PROTOCOL.md 12.8).
 */
import { assert, describe, it } from "@effect/vitest"
import { mayConnect, urlFault, urlLengthMax } from "../../src/subscriptions/webhook/webhook-target.ts"

const everywhere = [
  "https://worker.example/hook",
  "https://example.com:8443/a?b=c",
  "https://8.8.8.8/",
  "https://1.1.1.1/x"
]
  .concat(
    "https://[2606:4700:4700::1111]/hook",
    "https://sub.domain.example.org./",
    "HTTPS://Example.COM/",
    "https://bücher.example/"
  )

const inDevelopment = [
  "http://localhost/hook",
  "http://localhost:8080/",
  "http://127.0.0.1:9/",
  "http://127.0.0.255/",
  "HTTP://LOCALHOST/"
]

const nowhere = [
  // Not https.
  "http://worker.example/hook",
  "http://8.8.8.8/",
  "ftp://worker.example/",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "data:text/plain,a",
  "ws://worker.example/",
  // No URL, or another one than it seems.
  "",
  "worker.example",
  "//worker.example/",
  "https://",
  "https://worker.example /",
  " https://worker.example/",
  "https:\\\\worker.example\\",
  "https://worker.example/\r\nX: y",
  "https://worker.example/\u0000",
  `https://worker.example/${"a".repeat(urlLengthMax)}`,
  "https:worker.example/",
  "https:/worker.example/",
  "https:///worker.example/",
  "https://134744072?8.8.8.8/",
  "https://134744072#8.8.8.8/",
  "https://134744072:443/8.8.8.8",
  "https://8.8.8.8./",
  "https://worker.example:0/",
  "https://8.8.8.8:0/",
  "http://localhost:0/",
  "https://worker.example:00/",
  // With credentials.
  "https://user@worker.example/",
  "https://user:secret@worker.example/",
  "https://:secret@worker.example/",
  "https://worker.example@10.0.0.1/",
  // This machine.
  "https://localhost/",
  "https://127.0.0.1/",
  "https://127.1.2.3/",
  "http://127.0.1.1/",
  "http://127.1/",
  "https://0.0.0.0/",
  "http://0.0.0.0/",
  "https://[::1]/",
  "http://[::1]/",
  "https://[::]/",
  "https://a.localhost/",
  "https://localhost./",
  // Private networks.
  "http://10.0.0.1/hook",
  "https://10.0.0.1/",
  "https://172.16.0.1/",
  "https://172.31.255.255/",
  "https://192.168.1.1/",
  "https://100.64.0.1/",
  "https://198.18.0.1/",
  "https://[fc00::1]/",
  "https://[fd12:3456::1]/",
  "https://[fec0::1]/",
  "https://printer/",
  "https://printer.local/",
  "https://wiki.corp/",
  "https://router.home.arpa/",
  // Link-local addresses, and those that clouds reserve for themselves.
  "https://169.254.169.254/latest/meta-data/",
  "https://[fe80::1]/",
  "https://[fd00:ec2::254]/",
  "https://metadata.google.internal/",
  "https://100.100.100.200/",
  "https://168.63.129.16/",
  "https://192.0.0.192/",
  // Multicast, reserved, documentation.
  "https://224.0.0.1/",
  "https://239.255.255.250/",
  "https://240.0.0.1/",
  "https://255.255.255.255/",
  "https://[ff02::1]/",
  "https://192.0.2.1/",
  "https://[2001:db8::1]/",
  "https://[3fff::1]/",
  // IPv4 in other notations.
  "https://[::ffff:10.0.0.1]/",
  "https://[::ffff:8.8.8.8]/",
  "https://[::127.0.0.1]/",
  "https://[64:ff9b::7f00:1]/",
  "https://[2002:7f00:1::]/",
  "https://[2001:0:1::]/",
  "https://2130706433/",
  "http://2130706433/",
  "https://0x7f000001/",
  "https://0x7f.0.0.1/",
  "https://0177.0.0.1/",
  "http://0177.0.0.1/",
  "https://10.1/",
  "https://0xa9fea9fe/",
  "https://134744072/",
  "https://１２７.０.０.１/",
  "http://①②⑦.0.0.1/",
  "http://ｌｏｃａｌｈｏｓｔ.example/"
]

describe("a webhook", () => {
  for (const url of everywhere) {
    it(`may go to ${url}`, () => {
      assert.isUndefined(urlFault(url, false))
      assert.isUndefined(urlFault(url, true))
    })
  }
  for (const url of inDevelopment) {
    it(`may go to ${url} in development only`, () => {
      assert.isUndefined(urlFault(url, true))
      assert.isString(urlFault(url, false))
    })
  }
  for (const url of nowhere) {
    it(`may not go to ${JSON.stringify(url.slice(0, 60))}`, () => {
      assert.isString(urlFault(url, true))
      assert.isString(urlFault(url, false))
    })
  }
})

describe("the address behind a name", () => {
  const open = new URL("https://worker.example/")
  const local = new URL("http://localhost:8080/")

  it("may be called if it is one of the open internet, whatever the name was", () => {
    for (const address of ["93.184.216.34", "2606:2800:220:1::1"]) assert.isTrue(mayConnect(open, address), address)
    const closed = [
      "127.0.0.1",
      "10.0.0.1",
      "169.254.169.254",
      "::1",
      "::ffff:127.0.0.1",
      "fe80::1",
      "fd00::1",
      "0.0.0.0"
    ]
    for (const address of closed) assert.isFalse(mayConnect(open, address), address)
  })

  it("may be loopback, for a webhook in development", () => {
    for (const address of ["127.0.0.1", "::1"]) assert.isTrue(mayConnect(local, address), address)
    for (const address of ["93.184.216.34", "10.0.0.1", "127.0.1.1"]) {
      assert.isFalse(mayConnect(local, address), address)
    }
  })
})
