/* routes.h — the begin-function of every route, one room each: a new route is a file, a line
 * here and a row in router.c. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

struct exchange;

void openai_embeddings_begin(struct exchange *x);
void openai_chat_begin(struct exchange *x);
void openai_images_begin(struct exchange *x);
void openai_models_begin(struct exchange *x);     /* the list */
void openai_models_one_begin(struct exchange *x); /* x->rest is the name */
void health_live_begin(struct exchange *x);
void health_ready_begin(struct exchange *x);
void weir_status_begin(struct exchange *x);
void weir_events_begin(struct exchange *x);
void weir_tokenize_begin(struct exchange *x);
void weir_detokenize_begin(struct exchange *x);
void weir_load_begin(struct exchange *x);
void weir_unload_begin(struct exchange *x);
void weir_pin_begin(struct exchange *x);
void weir_unpin_begin(struct exchange *x);
void weir_plan_begin(struct exchange *x);
void weir_requests_begin(struct exchange *x);
void weir_requests_one_begin(struct exchange *x);    /* x->rest is the x-request-id */
void weir_requests_cancel_begin(struct exchange *x); /* likewise */
void weir_metrics_begin(struct exchange *x);
void tei_embed_begin(struct exchange *x);
void tei_info_begin(struct exchange *x);
void tei_health_begin(struct exchange *x);

#endif
