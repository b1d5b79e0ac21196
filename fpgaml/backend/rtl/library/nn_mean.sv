// Stream stage: sums divided by COUNT and rounded once, to a stated type; then one register.
//
// The quotient gets two bits more, which say whether what is left is nothing, less than a half, a half or more: all
// that any rounding asks.
module nn_mean #(
    parameter int CHANNELS   = 1,
    parameter int IN_WIDTH   = 10,  // signed
    parameter int UP         = 0,
    parameter int COUNT      = 3,
    parameter int DROP       = 2,
    parameter int OUT_WIDTH  = 8,
    parameter int OUT_SIGNED = 0,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0
) (
    input  logic                          clk,
    input  logic                          rst,
    input  logic                          in_valid,
    output logic                          in_ready,
    input  logic [ CHANNELS*IN_WIDTH-1:0] in_data,
    output logic                          out_valid,
    input  logic                          out_ready,
    output logic [CHANNELS*OUT_WIDTH-1:0] out_data
);
  localparam int WIDE = IN_WIDTH + UP + $clog2(COUNT) + 3;
  localparam logic signed [WIDE-1:0] BY = COUNT;
  wire [CHANNELS*OUT_WIDTH-1:0] means;
  generate
    for (genvar c = 0; c < CHANNELS; c++) begin : g_channel
      wire signed [IN_WIDTH-1:0] sum = in_data[c*IN_WIDTH+:IN_WIDTH];
      wire signed [WIDE-1:0] fine = WIDE'(sum) <<< UP;
      wire signed [WIDE-1:0] near = fine / BY;  // towards zero
      wire signed [WIDE-1:0] over = fine - near * BY;
      wire under = over[WIDE-1];
      wire signed [WIDE-1:0] whole = under ? near - WIDE'(1) : near;
      wire signed [WIDE-1:0] rest = under ? over + BY : over;
      wire [1:0] beyond = rest == 0 ? 2'd0 : (rest <<< 1) < BY ? 2'd1 : (rest <<< 1) == BY ? 2'd2 : 2'd3;
      nn_value_cast #(
          .IN_WIDTH(WIDE + 2), .IN_SIGNED(1), .DROP(DROP), .OUT_WIDTH(OUT_WIDTH), .OUT_SIGNED(OUT_SIGNED),
          .ROUNDING(ROUNDING), .OVERFLOW(OVERFLOW)
      ) u_cast (
          .in_code ({whole, beyond}),
          .out_code(means[c*OUT_WIDTH+:OUT_WIDTH])
      );
    end
  endgenerate

  assign in_ready = !out_valid || out_ready;
  always_ff @(posedge clk) begin
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready) out_data <= means;
  end
endmodule
