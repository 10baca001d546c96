// The unmodified OpenAI Node SDK against a running service; test_openai_node.py starts it.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const baseURL = `${process.env.HEADRACE_TEST_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.HEADRACE_TEST_KEY, maxRetries: 0 });
const model = "smollm2-135m";
const messages = [{ role: "user", content: "What is the capital of France? One sentence." }];

test("an answer has text, usage and ids", async () => {
  const { data, response } = await client.chat.completions
    .create({ model, messages, max_tokens: 32, temperature: 0 })
    .withResponse();
  assert.match(data.choices[0].message.content, /Paris/);
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
  assert.equal(data._request_id, response.headers.get("x-headrace-trace"));
  assert.match(response.headers.get("x-headrace-release"), /^sha256:/);
});

test("a stream gives the same text in pieces, then its usage", async () => {
  const params = { model, messages, max_tokens: 24, temperature: 0, seed: 1 };
  const whole = (await client.chat.completions.create(params)).choices[0].message.content;
  const stream = await client.chat.completions.create({
    ...params,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole);
  assert.ok(usage.completion_tokens > 3);
});

test("the SDK's runner accumulates a stream", async () => {
  const final = await client.chat.completions
    .stream({ model, messages, stop: ["."] })
    .finalChatCompletion();
  assert.ok(final.choices[0].message.content.length > 0);
});

test("JSON keeps to its schema", async () => {
  const schema = {
    type: "object",
    properties: { country: { enum: ["FR", "DE"] } },
    required: ["country"],
    additionalProperties: false,
  };
  const answer = await client.chat.completions.create({
    model,
    messages,
    max_tokens: 32,
    response_format: { type: "json_schema", json_schema: { name: "place", schema, strict: true } },
  });
  assert.ok(["FR", "DE"].includes(JSON.parse(answer.choices[0].message.content).country));
});

test("a tool is called", async () => {
  const answer = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "What is the weather in Paris?" }],
    tools: [
      {
        type: "function",
        function: {
          name: "get_weather",
          parameters: {
            type: "object",
            properties: { city: { type: "string", maxLength: 30 } },
            required: ["city"],
          },
        },
      },
    ],
    tool_choice: "required",
    max_tokens: 96,
    temperature: 0,
  });
  assert.equal(answer.choices[0].finish_reason, "tool_calls");
  const call = answer.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, "get_weather");
  assert.ok("city" in JSON.parse(call.function.arguments));
});

test("a bare prompt is continued", async () => {
  const answer = await client.completions.create({
    model,
    prompt: "The capital of France is",
    max_tokens: 4,
    temperature: 0,
  });
  assert.match(answer.choices[0].text, /Paris/);
});

test("embeddings are decoded by the SDK", async () => {
  const made = await client.embeddings.create({ model, input: ["a mill", "水车"] });
  assert.equal(made.data.length, 2);
  assert.equal(made.data[0].embedding.length, made.data[1].embedding.length);
  assert.ok(made.data[0].embedding.every(Number.isFinite));
});

test("models are listed", async () => {
  const names = [];
  for await (const each of client.models.list()) names.push(each.id);
  assert.deepEqual(names, [model, "embedding", "embedding-multilingual"]);
});

test("errors have the SDK's classes", async () => {
  await assert.rejects(
    client.chat.completions.create({ model: "smollm-135", messages }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
  );
  await assert.rejects(
    client.chat.completions.create({ model, messages: [] }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === "messages",
  );
  const stranger = new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
});

test("an aborted stream stops generation and frees the slot", async () => {
  for (let i = 0; i < 6; i++) {
    const stream = await client.chat.completions.create({
      model,
      messages: [{ role: "user", content: "Write a very long story." }],
      max_tokens: 2000,
      stream: true,
    });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta?.content) break;
    }
    stream.controller.abort();
  }
  const answer = await client.chat.completions.create(
    { model, messages, max_tokens: 4 },
    { timeout: 20_000 },
  );
  assert.ok(answer.choices[0].message.content);
});
