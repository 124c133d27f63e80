// A Model Context Protocol server over stdio without any library: one line, one JSON message.
// Source: modelcontextprotocol.io/specification/2025-06-18.
"use strict";

const readline = require("node:readline");

const VERSION = "2025-06-18";
const pair = {
  type: "object",
  properties: { a: { type: "number" }, b: { type: "number" } },
  required: ["a", "b"],
};
const number = {
  type: "object",
  properties: { result: { type: "number" } },
  required: ["result"],
};
const sums = {
  add_numbers: ["The sum of two numbers", (a, b) => a + b],
  multiply_numbers: ["The product of two numbers", (a, b) => a * b],
  subtract_numbers: ["The first number less the second", (a, b) => a - b],
  divide_numbers: ["The first number by the second", divide],
};

class Refused extends Error {}

function divide(a, b) {
  if (b === 0) throw new Refused("division_by_zero");
  return a / b;
}

function call({ name, arguments: given }) {
  try {
    const result = sums[name][1](given.a, given.b);
    return {
      content: [{ type: "text", text: String(result) }],
      structuredContent: { result },
    };
  } catch (error) {
    const code = error instanceof Refused ? error.message : "failed";
    return {
      isError: true,
      content: [{ type: "text", text: code }],
      structuredContent: { code },
    };
  }
}

const methods = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion: protocolVersion <= VERSION ? protocolVersion : VERSION,
    capabilities: { tools: {} },
    serverInfo: { name: "calc", version: "1.0.0" },
  }),
  ping: () => ({}),
  "tools/list": () => ({
    tools: Object.entries(sums).map(([name, [description]]) => ({
      name,
      description,
      inputSchema: pair,
      outputSchema: number,
    })),
  }),
  "tools/call": call,
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return; // a notification wants no answer
  const answer = methods[method]
    ? { result: methods[method](params ?? {}) }
    : { error: { code: -32601, message: "no such method" } };
  process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, ...answer }) + "\n");
});
