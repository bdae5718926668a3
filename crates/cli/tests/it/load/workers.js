// A service whose every answer takes processor time of one of its two worker threads, while its event
// loop has little to do. It tells Prometheus of itself by the names and in the way of prom-client's
// default metrics; with the argument "utilization" also how busy its event loop was. Nothing of it
// is made up.
'use strict';

const { createServer } = require('node:http');
const { pbkdf2Sync } = require('node:crypto');
const { monitorEventLoopDelay, performance } = require('node:perf_hooks');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');

// Some milliseconds of work on any processor of today.
const ITERATIONS = 6000;
const WORKERS = 2;

if (isMainThread) {
  serve();
} else {
  parentPort.on('message', (number) => {
    const body = pbkdf2Sync('password', 'salt', ITERATIONS, 32, 'sha256').toString('hex');
    parentPort.postMessage({ number, body });
  });
}

function serve() {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  let before = performance.eventLoopUtilization();

  function metrics(lag) {
    const cpu = process.cpuUsage();
    const amounts = {
      process_cpu_user_seconds_total: cpu.user / 1e6,
      process_cpu_system_seconds_total: cpu.system / 1e6,
      process_cpu_seconds_total: (cpu.user + cpu.system) / 1e6,
      process_resident_memory_bytes: process.memoryUsage().rss,
      nodejs_eventloop_lag_seconds: lag,
      nodejs_eventloop_lag_p50_seconds: delay.percentile(50) / 1e9,
      nodejs_eventloop_lag_p99_seconds: delay.percentile(99) / 1e9,
    };
    delay.reset();
    if (process.argv.includes('utilization')) {
      const now = performance.eventLoopUtilization();
      amounts.nodejs_eventloop_utilization = performance.eventLoopUtilization(now, before).utilization;
      before = now;
    }
    return Object.entries(amounts).map(([name, amount]) => `${name} ${amount}\n`).join('');
  }

  const waiting = new Map();
  const workers = Array.from({ length: WORKERS }, () => {
    const worker = new Worker(__filename);
    worker.on('message', ({ number, body }) => {
      waiting.get(number).end(body);
      waiting.delete(number);
    });
    return worker;
  });
  let number = 0;

  const server = createServer((request, response) => {
    if (request.url === '/metrics') {
      const asked = process.hrtime.bigint();
      setImmediate(() => response.end(metrics(Number(process.hrtime.bigint() - asked) / 1e9)));
      return;
    }
    number += 1;
    waiting.set(number, response);
    workers[number % WORKERS].postMessage(number);
  });
  server.listen(0, '127.0.0.1', () => console.log(`listens on ${server.address().port}`));
}
