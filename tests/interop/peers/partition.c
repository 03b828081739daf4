/* libgearman's side of a map and reduce: a worker that splits its workload into words, and a client.
 *
 *   partition worker PORT                              the function "words", and its aggregator, which joins by '+'
 *   partition client PORT MAPPER REDUCER WORKLOAD      prints the result, or an error on stderr
 */

#include <libgearman-1.0/gearman.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gearman_return_t split(gearman_job_st *job, void *context)
{
  const char *at = gearman_job_workload(job);
  const char *end = at + gearman_job_workload_size(job);
  (void)context;
  while (at < end) {
    const char *blank = memchr(at, ' ', (size_t)(end - at));
    size_t size = (size_t)((blank ? blank : end) - at);
    if (gearman_failed(gearman_job_send_data(job, at, size)))
      return GEARMAN_ERROR;
    at += size + 1;
  }
  return GEARMAN_SUCCESS;
}

static gearman_return_t join(gearman_aggregator_st *self, gearman_task_st *task, gearman_result_st *result)
{
  char joined[4096];
  size_t used = 0;
  (void)self;
  for (; task != NULL; task = gearman_next(task)) {
    gearman_result_st *part = gearman_task_result(task);
    size_t size = part ? gearman_result_size(part) : 0;
    if (size == 0)
      continue;
    if (used + size + 1 > sizeof(joined))
      return GEARMAN_WORK_EXCEPTION;
    if (used)
      joined[used++] = '+';
    memcpy(joined + used, gearman_result_value(part), size);
    used += size;
  }
  return gearman_result_store_value(result, joined, used);
}

static int run_worker(in_port_t port)
{
  gearman_worker_st *worker = gearman_worker_create(NULL);
  gearman_function_t words = gearman_function_create_partition(split, join);
  if (gearman_failed(gearman_worker_add_server(worker, "127.0.0.1", port)))
    return 1;
  if (gearman_failed(gearman_worker_define_function(worker, "words", strlen("words"), words, 0, NULL)))
    return 1;
  for (;;)
    gearman_worker_work(worker);
}

static int run_client(in_port_t port, char **arguments)
{
  const char *mapper = arguments[0], *reducer = arguments[1], *workload = arguments[2];
  gearman_client_st *client = gearman_client_create(NULL);
  gearman_argument_t value = gearman_argument_make(NULL, 0, workload, strlen(workload));
  gearman_task_st *task;
  gearman_result_st *result;

  if (gearman_failed(gearman_client_add_server(client, "127.0.0.1", port)))
    return 1;
  task = gearman_execute_by_partition(client, mapper, strlen(mapper), reducer, strlen(reducer), NULL, 0, NULL, &value,
                                      NULL);
  if (task == NULL) {
    fprintf(stderr, "%s\n", gearman_client_error(client));
    return 1;
  }
  if (gearman_failed(gearman_task_return(task))) {
    fprintf(stderr, "%s\n", gearman_strerror(gearman_task_return(task)));
    return 2;
  }
  result = gearman_task_result(task);
  fwrite(gearman_result_value(result), 1, gearman_result_size(result), stdout);
  return 0;
}

int main(int count, char **arguments)
{
  if (count == 3 && strcmp(arguments[1], "worker") == 0)
    return run_worker((in_port_t)atoi(arguments[2]));
  if (count == 6 && strcmp(arguments[1], "client") == 0)
    return run_client((in_port_t)atoi(arguments[2]), arguments + 3);
  fprintf(stderr, "partition worker PORT | partition client PORT MAPPER REDUCER WORKLOAD\n");
  return 64;
}
