// Stream stage: a matrix product with a reuse factor.
//
// An image (or a position) comes in BEATS beats of INPUTS values. Each cycle multiplies TAKEN of them by the weights of
// MADE outputs, so a beat takes (INPUTS / TAKEN) * (OUTPUTS / MADE) cycles, and the multipliers are TAKEN * MADE. The
// sums leave together, after the last product. Weights come from a ROM with one register, a row a cycle in the order
// beat, group of outputs, group of inputs; in a row, input t of output m stands at (m * TAKEN + t) * WEIGHT_WIDTH.
//
// Three registers deep: weights and inputs, products, sums. All stand still while a result waits to be taken.
module nn_engine #(
    parameter int BEATS        = 1,
    parameter int INPUTS       = 1,
    parameter int OUTPUTS      = 1,
    parameter int TAKEN        = 1,
    parameter int MADE         = 1,
    parameter int IN_WIDTH     = 8,
    parameter int IN_SIGNED    = 0,
    parameter int WEIGHT_WIDTH = 8,
    parameter int UP           = 0,   // products are so many bits coarser than sums
    parameter int SUM_WIDTH    = 24,
    parameter int ROW_WIDTH    = 1,
    parameter logic [OUTPUTS*SUM_WIDTH-1:0] BIAS = '0
) (
    input  logic                               clk,
    input  logic                               rst,
    input  logic                               in_valid,
    output logic                               in_ready,
    input  logic [        INPUTS*IN_WIDTH-1:0] in_data,
    output logic                               out_valid,
    input  logic                               out_ready,
    output logic [      OUTPUTS*SUM_WIDTH-1:0] out_data,
    output logic                               advance,   // enable of the ROM's register
    output logic [              ROW_WIDTH-1:0] row,
    input  logic [TAKEN*MADE*WEIGHT_WIDTH-1:0] weights
);
  localparam int CHUNKS = INPUTS / TAKEN;
  localparam int GROUPS = OUTPUTS / MADE;
  localparam int PRODUCT = IN_WIDTH + 1 + WEIGHT_WIDTH + $clog2(TAKEN);
  localparam int WIDE = (PRODUCT + UP > SUM_WIDTH ? PRODUCT + UP : SUM_WIDTH) + 1;
  localparam int BW = $clog2(BEATS + 1);
  localparam int CW = $clog2(CHUNKS + 1);
  localparam int GW = $clog2(GROUPS + 1);

  logic [BW-1:0] beat;
  logic [CW-1:0] chunk;
  logic [GW-1:0] group, group1, group2;
  logic valid1, valid2, first1, first2, last1, last2;

  wire last_chunk = 32'(chunk) == CHUNKS - 1;
  wire last_group = 32'(group) == GROUPS - 1;
  wire last_beat = 32'(beat) == BEATS - 1;
  wire step = advance && in_valid;
  assign advance  = !out_valid || out_ready;
  assign in_ready = advance && last_chunk && last_group;

  always_ff @(posedge clk) begin
    if (rst) begin
      beat <= '0;
      chunk <= '0;
      group <= '0;
      row <= '0;
    end else if (step) begin
      chunk <= last_chunk ? '0 : chunk + 1'b1;
      if (last_chunk) group <= last_group ? '0 : group + 1'b1;
      if (last_chunk && last_group) beat <= last_beat ? '0 : beat + 1'b1;
      row <= last_chunk && last_group && last_beat ? '0 : row + 1'b1;
    end
  end

  // First register: the inputs of this cycle, as the ROM's register has their weights
  logic [TAKEN*IN_WIDTH-1:0] taken;
  wire  [TAKEN*IN_WIDTH-1:0] chosen;
  generate
    if (CHUNKS == 1) begin : g_all
      assign chosen = in_data;
    end else begin : g_some
      assign chosen = in_data[32'(chunk)*TAKEN*IN_WIDTH+:TAKEN*IN_WIDTH];
    end
  endgenerate

  // Second register: products, added for each output of this cycle
  logic signed [PRODUCT-1:0] product[MADE];
  generate
    for (genvar m = 0; m < MADE; m++) begin : g_product
      wire signed [PRODUCT-1:0] part[TAKEN];
      for (genvar t = 0; t < TAKEN; t++) begin : g_input
        wire signed [WEIGHT_WIDTH-1:0] w = weights[(m*TAKEN+t)*WEIGHT_WIDTH+:WEIGHT_WIDTH];
        wire [IN_WIDTH-1:0] code = taken[t*IN_WIDTH+:IN_WIDTH];
        wire signed [IN_WIDTH:0] x = {IN_SIGNED != 0 && code[IN_WIDTH-1], code};
        if (t == 0) begin : g_first
          assign part[t] = w * x;
        end else begin : g_next
          wire signed [PRODUCT-1:0] own = w * x;
          assign part[t] = part[t-1] + own;
        end
      end
      always_ff @(posedge clk) if (advance) product[m] <= part[TAKEN-1];
    end
  endgenerate

  // Third register: the sums so far, and the whole ones on their way out
  generate
    for (genvar m = 0; m < MADE; m++) begin : g_sum
      logic [SUM_WIDTH-1:0] sums[GROUPS];
      wire [GW-1:0] at = GROUPS == 1 ? '0 : group2;
      wire [SUM_WIDTH-1:0] bias = BIAS[(32'(at)*MADE+m)*SUM_WIDTH+:SUM_WIDTH];
      wire signed [WIDE-1:0] lifted = WIDE'(product[m]) <<< UP;
      wire [SUM_WIDTH-1:0] sum = (first2 ? bias : sums[at]) + lifted[SUM_WIDTH-1:0];
      always_ff @(posedge clk) begin
        if (advance && valid2) begin
          sums[at] <= sum;
          if (last2) out_data[(32'(at)*MADE+m)*SUM_WIDTH+:SUM_WIDTH] <= sum;
        end
      end
    end
  endgenerate

  always_ff @(posedge clk) begin
    if (rst) begin
      valid1 <= 1'b0;
      valid2 <= 1'b0;
      out_valid <= 1'b0;
    end else if (advance) begin
      valid1 <= in_valid;
      valid2 <= valid1;
      out_valid <= valid2 && last2 && 32'(group2) == GROUPS - 1;
    end
    if (advance) begin
      taken <= chosen;
      first1 <= 32'(beat) == 0 && 32'(chunk) == 0;
      last1 <= last_beat && last_chunk;
      group1 <= group;
      first2 <= first1;
      last2 <= last1;
      group2 <= group1;
    end
  end
endmodule
