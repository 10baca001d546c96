// The unmodified OpenAI Node SDK's `responses` against a running service.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const baseURL = `${process.env.HEADRACE_TEST_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.HEADRACE_TEST_KEY, maxRetries: 0 });
const model = "smollm2-135m";
const input = "What is the capital of France? One sentence.";

test("a response has text, usage and an id that continues it", async () => {
  const first = await client.responses.create({ model, input, max_output_tokens: 32, temperature: 0 });
  assert.match(first.output_text, /Paris/);
  assert.equal(first.usage.total_tokens, first.usage.input_tokens + first.usage.output_tokens);
  const second = await client.responses.create({
    model,
    input: "And of Spain?",
    previous_response_id: first.id,
    max_output_tokens: 4,
  });
  assert.ok(second.usage.input_tokens > first.usage.input_tokens);
  assert.equal((await client.responses.retrieve(first.id)).output_text, first.output_text);
});

test("the SDK's stream puts the same response together", async () => {
  const params = { model, input, max_output_tokens: 24, temperature: 0 };
  const whole = await client.responses.create(params);
  const stream = client.responses.stream(params);
  const kinds = [];
  for await (const event of stream) kinds.push(event.type);
  const final = await stream.finalResponse();
  assert.equal(final.output_text, whole.output_text);
  assert.equal(kinds[0], "response.created");
  assert.ok(kinds.filter((kind) => kind === "response.output_text.delta").length > 3);
});

test("a refused field is named", async () => {
  await assert.rejects(
    client.responses.create({ model, input, tools: [{ type: "web_search" }] }),
    (error) => error.status === 400 && error.param === "tools[0].type",
  );
});
