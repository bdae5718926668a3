// A service whose every answer takes processor time, and which tells Prometheus of itself by the
// names and in the way of prom-client's default metrics. Nothing of it is made up.
'use strict';

const { createServer } = require('node:http');
const { pbkdf2Sync } = require('node:crypto');
const { monitorEventLoopDelay } = require('node:perf_hooks');

// Some milliseconds of work on any processor of today.
const ITERATIONS = 6000;

const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

function metrics(lag) {
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  const amounts = {
    process_cpu_user_seconds_total: cpu.user / 1e6,
    process_cpu_system_seconds_total: cpu.system / 1e6,
    process_cpu_seconds_total: (cpu.user + cpu.system) / 1e6,
    process_resident_memory_bytes: memory.rss,
    nodejs_heap_size_total_bytes: memory.heapTotal,
    nodejs_heap_size_used_bytes: memory.heapUsed,
    nodejs_eventloop_lag_seconds: lag,
    nodejs_eventloop_lag_min_seconds: delay.min / 1e9,
    nodejs_eventloop_lag_max_seconds: delay.max / 1e9,
    nodejs_eventloop_lag_mean_seconds: delay.mean / 1e9,
    nodejs_eventloop_lag_p50_seconds: delay.percentile(50) / 1e9,
    nodejs_eventloop_lag_p99_seconds: delay.percentile(99) / 1e9,
  };
  // As prom-client does: each page tells of the time since the one before.
  delay.reset();
  const lines = Object.entries(amounts).map(([name, amount]) => `${name} ${amount}\n`);
  return lines.join('');
}

const server = createServer((request, response) => {
  if (request.url === '/metrics') {
    const asked = process.hrtime.bigint();
    setImmediate(() => response.end(metrics(Number(process.hrtime.bigint() - asked) / 1e9)));
    return;
  }
  response.end(pbkdf2Sync('password', 'salt', ITERATIONS, 32, 'sha256').toString('hex'));
});

server.listen(0, '127.0.0.1', () => console.log(`listens on ${server.address().port}`));
